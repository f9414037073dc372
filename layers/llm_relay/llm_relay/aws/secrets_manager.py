"""Reads a secret from Secrets Manager, and the credentials for that, without boto3.

Creating boto3's client takes longer than the rest of a function's start together.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

import requests
from requests.utils import get_environ_proxies

from llm_relay.core.json_codec import parse_object
from llm_relay.transport.connections import ConnectionAdapter
from llm_relay.transport.settings import TransportSettings

_MAX_ATTEMPTS = 3
_TIMEOUTS_SECONDS = (2, 3)  # to connect, and to be answered
_FIRST_PAUSE_SECONDS = 0.1
_CREDENTIALS_TIMEOUT_SECONDS = 2
_THROTTLED = b"Throttling"  # comes with status 400
_DOMAINS = {"cn": "amazonaws.com.cn", "eusc": "amazonaws.eu"}  # by the region's first part


class NoCredentialsError(Exception):
    """No credentials are available."""


class SecretUnreadableError(Exception):
    """The secret could not be read; `code` is AWS's error code, if there is one."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What requests to AWS are signed with."""

    key_id: str
    secret: str
    token: str | None


class SecretsManager:
    """Secrets Manager in this function's region."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._environ = environ
        self._region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION", "")
        self._url = endpoint_url(self._region, environ)
        settings = TransportSettings.from_mapping(environ)
        bundle = environ.get("AWS_CA_BUNDLE") or settings.ca_bundle
        settings = replace(settings, base_url=self._url, ca_bundle=bundle)
        self._session = requests.Session()
        self._session.trust_env = False  # a .netrc would replace the signature
        self._session.proxies = dict(get_environ_proxies(self._url))
        self._session.mount(self._url, ConnectionAdapter(settings))

    def get_text(self, secret_id: str) -> str | None:
        """Return a secret's text, None if it is binary; SecretUnreadableError if it fails."""
        body = json.dumps({"SecretId": secret_id}).encode()
        for attempt in range(_MAX_ATTEMPTS):
            time.sleep(_FIRST_PAUSE_SECONDS * (2**attempt - 1))
            status, answer = self._request(body)
            if status == HTTPStatus.OK:
                text = (parse_object(answer) or {}).get("SecretString")
                return text if isinstance(text, str) else None
            is_client_error = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
            if is_client_error and _THROTTLED not in answer:
                break
        raise secret_error(status, answer)

    def _request(self, body: bytes) -> tuple[int, bytes]:
        """Return status and body of the answer; status 0 if there is none."""
        headers = {
            "content-type": "application/x-amz-json-1.1",
            "host": urlsplit(self._url).netloc,
            "x-amz-date": time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()),
            "x-amz-target": "secretsmanager.GetSecretValue",
        }
        try:
            credentials = function_credentials(self._environ)
            response = self._session.post(
                self._url,
                data=body,
                headers=signed_headers(headers, body, self._region, credentials),
                timeout=_TIMEOUTS_SECONDS,
                allow_redirects=False,
            )
        except requests.RequestException:
            return 0, b""
        except NoCredentialsError as error:
            return 0, json.dumps({"message": str(error)}).encode()
        return response.status_code, response.content


def secret_error(status: int, answer: bytes) -> SecretUnreadableError:
    """Return the failure that AWS reports."""
    error = parse_object(answer) or {}
    message = error.get("message") or error.get("Message") or "It gave no reason."
    code = str(error.get("__type", "")).rpartition("#")[2]
    return SecretUnreadableError(f"Secrets Manager answered {status}. {message}", code)


def endpoint_url(region: str, environ: Mapping[str, str]) -> str:
    """Return the URL of Secrets Manager; the SDKs' environment variables override it."""
    domain = _DOMAINS.get(region.partition("-")[0], "amazonaws.com")
    override = environ.get("AWS_ENDPOINT_URL_SECRETS_MANAGER") or environ.get("AWS_ENDPOINT_URL")
    return (override or f"https://secretsmanager.{region}.{domain}").rstrip("/") + "/"


def signed_headers(
    headers: Mapping[str, str], body: bytes, region: str, credentials: Credentials
) -> dict[str, str]:
    """Return the headers of a POST to `/` with an AWS signature, version 4."""
    token = {"x-amz-security-token": credentials.token} if credentials.token else {}
    signed = dict(sorted({**headers, **token}.items()))
    names = ";".join(signed)
    lines = "".join(f"{name}:{value}\n" for name, value in signed.items())
    canonical = f"POST\n/\n\n{lines}\n{names}\n{hashlib.sha256(body).hexdigest()}"
    date = headers["x-amz-date"]
    scope = f"{date[:8]}/{region}/secretsmanager/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    key = f"AWS4{credentials.secret}".encode()
    for part in (*scope.split("/"), f"AWS4-HMAC-SHA256\n{date}\n{scope}\n{digest}"):
        key = hmac.digest(key, part.encode(), "sha256")
    authorization = (
        f"AWS4-HMAC-SHA256 Credential={credentials.key_id}/{scope}, "
        f"SignedHeaders={names}, Signature={key.hex()}"
    )
    return {**signed, "authorization": authorization}


def function_credentials(environ: Mapping[str, str]) -> Credentials:
    """Return the current credentials, which change: do not store them. Or NoCredentialsError.

    They are in the environment, except under SnapStart: a snapshot outlives them, so Lambda
    provides them at an endpoint of each copy.
    https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
    """
    if "AWS_ACCESS_KEY_ID" in environ:
        return Credentials(
            key_id=environ["AWS_ACCESS_KEY_ID"],
            secret=environ.get("AWS_SECRET_ACCESS_KEY", ""),
            token=environ.get("AWS_SESSION_TOKEN"),
        )
    try:
        return _from_endpoint(environ)
    except (requests.RequestException, OSError, KeyError) as error:
        raise NoCredentialsError(f"There are no AWS credentials: {type(error).__name__}") from None


def _from_endpoint(environ: Mapping[str, str]) -> Credentials:
    with requests.Session() as session:
        session.trust_env = False  # no proxy reaches the endpoint
        answer = session.get(
            environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"],
            headers={"Authorization": _token(environ)},
            timeout=_CREDENTIALS_TIMEOUT_SECONDS,
            allow_redirects=False,
        )
    if answer.status_code != HTTPStatus.OK:
        raise NoCredentialsError(f"The endpoint of AWS credentials answered {answer.status_code}")
    found = parse_object(answer.content) or {}
    return Credentials(
        key_id=found["AccessKeyId"], secret=found["SecretAccessKey"], token=found.get("Token")
    )


def _token(environ: Mapping[str, str]) -> str:
    if path := environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"):
        return Path(path).read_text().strip()  # its content may change
    return environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", "")
