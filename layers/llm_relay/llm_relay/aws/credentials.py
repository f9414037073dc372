"""The function's AWS credentials, read without botocore.

They are in the environment, except under SnapStart: a snapshot outlives them, so Lambda provides
them at an endpoint of each copy.
https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import requests

from llm_relay.core.json_codec import parse_object

_TIMEOUT_SECONDS = 2


class NoCredentialsError(Exception):
    """No credentials are available."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What requests to AWS are signed with."""

    key_id: str
    secret: str
    token: str | None


def function_credentials(environ: Mapping[str, str]) -> Credentials:
    """Return the current credentials, which change: do not store them. Or NoCredentialsError."""
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
            timeout=_TIMEOUT_SECONDS,
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
