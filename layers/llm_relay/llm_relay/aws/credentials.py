"""The function's own AWS credentials, read without botocore.

They are in the environment, except under SnapStart: a snapshot would outlive them, so Lambda hands
them out at an endpoint of each copy.
https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

import requests

from llm_relay.core.json_codec import parse_object

if TYPE_CHECKING:
    from collections.abc import Mapping

_TIMEOUT_SECONDS = 2


class NoCredentialsError(Exception):
    """There are no credentials to be had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What signs requests to AWS."""

    key_id: str
    secret: str
    token: str | None


def function_credentials(environ: Mapping[str, str]) -> Credentials:
    """Return the function's own; they change while it lives, so nobody keeps them."""
    if "AWS_ACCESS_KEY_ID" in environ:
        return Credentials(
            key_id=environ["AWS_ACCESS_KEY_ID"],
            secret=environ.get("AWS_SECRET_ACCESS_KEY", ""),
            token=environ.get("AWS_SESSION_TOKEN"),
        )
    try:
        return _handed_out(environ)
    except (requests.RequestException, OSError, KeyError) as error:
        raise NoCredentialsError(f"There are no AWS credentials: {type(error).__name__}") from None


def _handed_out(environ: Mapping[str, str]) -> Credentials:
    """Ask each time: one answer holds for hours, but a secret is read once in minutes."""
    url = environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"]
    with requests.Session() as session:
        session.trust_env = False  # no proxy leads to it
        answer = session.get(
            url,
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
    """Return what the endpoint wants to see; a file's content may change."""
    if path := environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"):
        return Path(path).read_text().strip()
    return environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", "")
