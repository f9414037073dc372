"""One value out of Secrets Manager, asked for without boto3.

Making boto3's client takes longer than all the rest of a function's start together.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import time
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import requests
from requests.utils import get_environ_proxies

from llm_relay.connections import Connections
from llm_relay.documents import parse_object
from llm_relay.settings import UpstreamSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

ATTEMPTS = 3
TIMEOUTS_SECONDS = (2, 3)  # to connect, and to be answered
_FIRST_PAUSE_SECONDS = 0.1
_THROTTLED = "Throttling"  # comes with status 400
_DOMAINS = {"cn": "amazonaws.com.cn", "eusc": "amazonaws.eu"}  # by the region's first part


class SecretUnreadableError(Exception):
    """The secret could not be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What signs requests to AWS."""

    key_id: str
    secret: str
    token: str | None


class SecretsManager:
    """Secrets Manager of this function's region."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._environ = environ
        self._region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION", "")
        self._url = endpoint(self._region, environ)
        settings = UpstreamSettings.from_mapping(environ)
        bundle = environ.get("AWS_CA_BUNDLE") or settings.ca_bundle
        self._session = requests.Session()
        self._session.trust_env = False  # a .netrc would take the signature's place
        self._session.proxies = dict(get_environ_proxies(self._url))
        self._session.mount(
            self._url, Connections(replace(settings, base_url=self._url, ca_bundle=bundle))
        )

    def text(self, secret_id: str) -> str | None:
        """Return a secret's text, None if it is no text; SecretUnreadableError if it fails."""
        body = json.dumps({"SecretId": secret_id}).encode()
        for attempt in range(ATTEMPTS):
            time.sleep(_FIRST_PAUSE_SECONDS * (2**attempt - 1))
            status, answer = self._ask(body)
            if status == HTTPStatus.OK:
                document = parse_object(answer) or {}
                text = document.get("SecretString")
                return text if isinstance(text, str) else None
            if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR and (
                _THROTTLED not in answer.decode(errors="replace")
            ):
                break
        raise SecretUnreadableError(f"Secrets Manager answered {status}")

    def _ask(self, body: bytes) -> tuple[int, bytes]:
        """Return status and body of one answer; status 0 if there was none."""
        headers = {
            "content-type": "application/x-amz-json-1.1",
            "host": urlsplit(self._url).netloc,
            "x-amz-date": time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()),
            "x-amz-target": "secretsmanager.GetSecretValue",
        }
        signed = signed_headers(headers, body, self._region, _credentials(self._environ))
        try:
            response = self._session.post(
                self._url,
                data=body,
                headers=signed,
                timeout=TIMEOUTS_SECONDS,
                allow_redirects=False,
            )
        except requests.RequestException:
            return 0, b""
        return response.status_code, response.content


def endpoint(region: str, environ: Mapping[str, str]) -> str:
    """Return the URL of Secrets Manager, which the environment may replace as for every SDK."""
    domain = _DOMAINS.get(region.partition("-")[0], "amazonaws.com")
    given = environ.get("AWS_ENDPOINT_URL_SECRETS_MANAGER") or environ.get("AWS_ENDPOINT_URL")
    return (given or f"https://secretsmanager.{region}.{domain}").rstrip("/") + "/"


def signed_headers(
    headers: Mapping[str, str], body: bytes, region: str, credentials: Credentials
) -> dict[str, str]:
    """Return the headers of a POST to `/` with AWS's signature, version 4."""
    token = {"x-amz-security-token": credentials.token} if credentials.token else {}
    named = dict(sorted({**headers, **token}.items()))
    names = ";".join(named)
    lines = "".join(f"{name}:{value}\n" for name, value in named.items())
    canonical = f"POST\n/\n\n{lines}\n{names}\n{hashlib.sha256(body).hexdigest()}"
    moment = headers["x-amz-date"]
    scope = f"{moment[:8]}/{region}/secretsmanager/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    key = f"AWS4{credentials.secret}".encode()
    for part in (*scope.split("/"), f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{digest}"):
        key = hmac.digest(key, part.encode(), "sha256")
    authorization = (
        f"AWS4-HMAC-SHA256 Credential={credentials.key_id}/{scope}, "
        f"SignedHeaders={names}, Signature={key.hex()}"
    )
    return {**named, "authorization": authorization}


def _credentials(environ: Mapping[str, str]) -> Credentials:
    """Return the function's own; they change while it lives, so nobody keeps them."""
    if "AWS_ACCESS_KEY_ID" in environ:
        return Credentials(
            key_id=environ["AWS_ACCESS_KEY_ID"],
            secret=environ.get("AWS_SECRET_ACCESS_KEY", ""),
            token=environ.get("AWS_SESSION_TOKEN"),
        )
    from botocore.session import get_session  # noqa: PLC0415 - under SnapStart alone: it is slow

    found = get_session().get_credentials()
    if found is None:
        raise SecretUnreadableError("There are no AWS credentials")
    frozen = found.get_frozen_credentials()
    key_id, secret = frozen.access_key or "", frozen.secret_key or ""
    return Credentials(key_id=key_id, secret=secret, token=frozen.token)
