"""Secrets Manager as it is asked: signed as AWS's own SDK signs, and insisted on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as SdkCredentials

from llm_relay.aws.secrets_manager import (
    Credentials,
    SecretsManager,
    SecretUnreadableError,
    endpoint_url,
    signed_headers,
)
from tests.support.scripted_provider import RESET, ScriptedProvider, whole

if TYPE_CHECKING:
    from collections.abc import Iterator

KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "hush/+="}
FOUND = whole(200, {"SecretString": "ak_stored"})
BODY = b'{"SecretId": "arn"}'
UNAVAILABLE = whole(500, {"__type": "InternalServiceError"})
THROTTLED = whole(400, {"__type": "ThrottlingException"})
REFUSED = whole(400, {"__type": "AccessDeniedException"})


@pytest.fixture
def server() -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as scripted:
        yield scripted


def manager(server: ScriptedProvider, **environ: str) -> SecretsManager:
    url = server.base_url.removesuffix("/v1")
    return SecretsManager({"AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL": url, **KEYS, **environ})


@pytest.mark.parametrize("token", [None, "token=="])
def test_a_request_is_signed_as_the_sdk_signs_it(token: str | None) -> None:
    headers = {
        "content-type": "application/x-amz-json-1.1",
        "host": "secretsmanager.eu-west-1.amazonaws.com",
        "x-amz-date": "20261121T130000Z",
        "x-amz-target": "secretsmanager.GetSecretValue",
    }
    named = headers | ({"x-amz-security-token": token} if token else {})
    request = AWSRequest("POST", f"https://{headers['host']}/", headers=named, data=BODY)
    request.context["timestamp"] = headers["x-amz-date"]
    sdk = SigV4Auth(SdkCredentials("AKIDEXAMPLE", "hush/+="), "secretsmanager", "eu-west-1")
    canonical = sdk.canonical_request(request)
    signature = sdk.signature(sdk.string_to_sign(request, canonical), request)
    keys = Credentials(key_id="AKIDEXAMPLE", secret="hush/+=", token=token)
    signed = signed_headers(headers, BODY, "eu-west-1", keys)
    assert signed["authorization"].endswith(f"Signature={signature}")


@pytest.mark.parametrize(
    ("region", "environ", "url"),
    [
        ("eu-west-1", {}, "https://secretsmanager.eu-west-1.amazonaws.com/"),
        ("cn-north-1", {}, "https://secretsmanager.cn-north-1.amazonaws.com.cn/"),
        ("eu-west-1", {"AWS_ENDPOINT_URL": "http://here:1"}, "http://here:1/"),
        (
            "eu-west-1",
            {"AWS_ENDPOINT_URL": "http://here", "AWS_ENDPOINT_URL_SECRETS_MANAGER": "http://it/"},
            "http://it/",
        ),
    ],
)
def test_secrets_manager_is_called_in_the_function_s_region_or_the_configured_one(
    region: str, environ: dict[str, str], url: str
) -> None:
    assert endpoint_url(region, environ) == url


@pytest.mark.parametrize("first", [UNAVAILABLE, THROTTLED, [RESET]])
def test_a_temporary_failure_is_retried(server: ScriptedProvider, first: list[object]) -> None:
    server.scripts = [first, FOUND]
    assert manager(server).get_text("arn") == "ak_stored"


@pytest.mark.parametrize(("script", "asked"), [(UNAVAILABLE, 3), (REFUSED, 1)])
def test_an_unreadable_secret_is_given_up_on(
    server: ScriptedProvider, script: list[object], asked: int
) -> None:
    server.scripts = [script]
    with pytest.raises(SecretUnreadableError):
        manager(server).get_text("arn")
    assert len(server.requests) == asked


def test_a_binary_secret_is_not_accepted(server: ScriptedProvider) -> None:
    server.scripts = [whole(200, {"SecretBinary": "AAEC"})]
    assert manager(server).get_text("arn") is None


def test_the_request_names_the_secret_and_carries_the_session_s_token(
    server: ScriptedProvider,
) -> None:
    server.scripts = [FOUND]
    manager(server, AWS_SESSION_TOKEN="temporary").get_text("arn")
    (request,) = server.requests
    assert json.loads(request.body) == {"SecretId": "arn"}
    assert request.headers["x-amz-security-token"] == "temporary"
