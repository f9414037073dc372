"""The function's own credentials: from its environment, or where Lambda hands them out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from llm_relay.aws.secrets_manager import (
    Credentials,
    NoCredentialsError,
    SecretsManager,
    SecretUnreadableError,
    function_credentials,
)
from tests.support.scripted_provider import RESET, ScriptedProvider, whole

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "hush"}
FOUND = whole(200, {"SecretString": "ak_stored"})


def handed_out(key_id: str) -> list[bytes]:
    document = {
        "AccessKeyId": key_id,
        "SecretAccessKey": "hush",
        "Token": "temporary",
        "Expiration": "2026-11-21T18:00:00Z",
    }
    return whole(200, document)


@pytest.fixture
def endpoint() -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as scripted:
        scripted.scripts = [handed_out("FIRST"), handed_out("SECOND")]
        yield scripted


def environ(endpoint: ScriptedProvider, **more: str) -> dict[str, str]:
    return {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{endpoint.base_url}/credentials",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": "Basic me",
        **more,
    }


def test_keys_in_the_environment_are_used_without_calling_the_endpoint(
    endpoint: ScriptedProvider,
) -> None:
    found = function_credentials(environ(endpoint, **KEYS))
    assert found == Credentials(key_id="AKIDEXAMPLE", secret="hush", token=None)  # noqa: S106
    assert endpoint.requests == []


def test_without_keys_the_endpoint_is_called_with_its_token(endpoint: ScriptedProvider) -> None:
    found = function_credentials(environ(endpoint))
    assert found == Credentials(key_id="FIRST", secret="hush", token="temporary")  # noqa: S106
    (request,) = endpoint.requests
    assert (request.method, request.path) == ("GET", "/v1/credentials")
    assert request.headers["authorization"] == "Basic me"


def test_a_token_in_a_file_takes_precedence_over_the_environment(
    endpoint: ScriptedProvider, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("of the file\n")
    function_credentials(environ(endpoint, AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=str(token)))
    assert endpoint.requests[0].headers["authorization"] == "of the file"


def test_credentials_that_have_changed_are_used_at_once(endpoint: ScriptedProvider) -> None:
    found = [function_credentials(environ(endpoint)).key_id for _ in range(2)]
    assert found == ["FIRST", "SECOND"]


def test_credentials_are_not_fetched_through_a_proxy(
    endpoint: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert function_credentials(environ(endpoint)).key_id == "FIRST"


@pytest.mark.parametrize(
    "script", [whole(403, {"message": "no"}), whole(200, {"Token": "alone"}), [RESET]]
)
def test_an_endpoint_without_credentials_is_reported(
    endpoint: ScriptedProvider, script: list[object]
) -> None:
    endpoint.scripts = [script]
    with pytest.raises(NoCredentialsError):
        function_credentials(environ(endpoint))


def test_a_secret_is_read_with_the_endpoint_s_credentials(
    endpoint: ScriptedProvider,
) -> None:
    with ScriptedProvider() as server:
        server.scripts = [FOUND]
        url = server.base_url.removesuffix("/v1")
        here = environ(endpoint, AWS_REGION="eu-west-1", AWS_ENDPOINT_URL=url)
        assert SecretsManager(here).get_text("arn") == "ak_stored"
        (request,) = server.requests
    assert "Credential=FIRST/" in request.headers["authorization"]
    assert request.headers["x-amz-security-token"] == "temporary"


def test_a_secret_without_permission_is_unreadable() -> None:
    with pytest.raises(SecretUnreadableError, match="There are no AWS credentials"):
        SecretsManager({"AWS_REGION": "eu-west-1"}).get_text("arn")
