"""Sends events to a URL of the operator's, signed as Standard Webhooks are."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from aws_lambda_powertools import Logger

from llm_relay.transport.public_addresses import PublicOnlyAdapter

if TYPE_CHECKING:
    from collections.abc import Callable

_SECONDS = 5.0
_PAUSES = (1.0, 2.0, 4.0)  # between attempts
_SECRET_SECONDS = 300  # for which a secret that was changed is still used
_ENCODED = "whsec_"
_LOOPBACK = "127.0.0.1"
_TLS_PORT, _FIRST_FREE_PORT = 443, 1024

Event = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Where events are sent, and what signs them."""

    url: str
    secret: Callable[[], str]
    pauses: tuple[float, ...] = _PAUSES

    def send(self, event: Event) -> None:
        """Send an event, several times if need be; a failure is logged and never raised."""
        try:
            failure = self._insist(event)
        except Exception as error:  # noqa: BLE001 - what was to be told has happened all the same
            failure = type(error).__name__
        if failure:
            # The URL may hold a password of its own.
            facts = {"event_id": event["id"], "event_type": event["type"], "failure": failure}
            _logger().error("the webhook was not reached", extra=facts)

    def _insist(self, event: Event) -> str:
        """Return why the event did not arrive; nothing if it did."""
        _check_url(self.url)
        secret, body = self.secret(), json.dumps(event, separators=(",", ":")).encode()
        with requests.Session() as session:
            session.trust_env = False  # a .netrc would add a password to the headers
            session.mount("https://", PublicOnlyAdapter())
            for pause in (*self.pauses, None):
                failure = self._attempt(session, event["id"], body, secret)
                if not failure or pause is None:
                    break
                time.sleep(pause)
        return failure

    def _attempt(self, session: requests.Session, event_id: str, body: bytes, secret: str) -> str:
        headers = signed_headers(event_id, int(time.time()), body, secret)
        try:
            with session.post(
                self.url,
                data=body,
                headers=headers | {"Content-Type": "application/json", "User-Agent": "llm-relay"},
                timeout=_SECONDS,
                allow_redirects=False,  # nobody but the operator says where events go
                stream=True,  # of the answer, the status is enough
            ) as response:
                is_taken = (
                    requests.codes.ok <= response.status_code < requests.codes.multiple_choices
                )
                return "" if is_taken else f"status {response.status_code}"
        except requests.RequestException as error:
            return type(error).__name__


def configured_webhook() -> Webhook | None:
    """Return the webhook of this environment, if it has one."""
    url, arn = os.environ.get("WEBHOOK_URL"), os.environ.get("WEBHOOK_SECRET_ARN", "")
    return Webhook(url=url, secret=lambda: _secret(arn)) if url else None


def signed_headers(event_id: str, now: int, body: bytes, secret: str) -> dict[str, str]:
    """Return the headers by which a receiver knows the event, its time and its sender."""
    key = secret.encode()
    if secret.startswith(_ENCODED):
        key = base64.b64decode(secret.removeprefix(_ENCODED), validate=True)
    digest = hmac.digest(key, b"%s.%d.%s" % (event_id.encode(), now, body), hashlib.sha256)
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(now),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    if (parts.scheme, parts.hostname) == ("http", _LOOPBACK):
        return  # of the local stack: the template takes no such URL
    if parts.scheme != "https":
        raise ValueError("a webhook without TLS")
    if parts.port is not None and parts.port != _TLS_PORT and parts.port < _FIRST_FREE_PORT:
        raise ValueError("a webhook at a port that is another service's")


def _secret(arn: str) -> str:
    return str(_secrets().get(arn, max_age=_SECRET_SECONDS)).strip()


@lru_cache(maxsize=1)
def _secrets() -> Any:
    # boto3 takes a quarter of a second to import.
    from aws_lambda_powertools.utilities.parameters import SecretsProvider  # noqa: PLC0415

    return SecretsProvider()


@lru_cache(maxsize=1)
def _logger() -> Logger:
    return Logger()
