"""Sends events to the operator's URL, signed as Standard Webhooks."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import requests
from aws_lambda_powertools import Logger

from llm_relay.transport.public_addresses import PublicOnlyAdapter

_TIMEOUT_SECONDS = 5.0
_PAUSES_SECONDS = (1.0, 2.0, 4.0)  # between attempts
_SECRET_CACHE_SECONDS = 300
_BASE64_PREFIX = "whsec_"
_TLS_PORT, _FIRST_UNRESERVED_PORT = 443, 1024

Event = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """A URL that receives events, and the secret that signs them."""

    url: str
    secret: Callable[[], str]
    pauses: tuple[float, ...] = _PAUSES_SECONDS  # in seconds, between attempts

    def send(self, event: Event) -> None:
        """Send an event, with retries; a failure is logged, never raised."""
        try:
            failure = self._send_with_retries(event)
        except Exception as error:  # noqa: BLE001 - what the event reports has already happened
            failure = type(error).__name__
        if failure:
            # Without the URL, which may contain a password.
            facts = {"event_id": event["id"], "event_type": event["type"], "failure": failure}
            Logger().error("the webhook was not reached", extra=facts)

    def _send_with_retries(self, event: Event) -> str:
        """Return why the event was not accepted; an empty text if it was."""
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
                timeout=_TIMEOUT_SECONDS,
                allow_redirects=False,  # only the operator decides where events go
                stream=True,  # the body of the answer is not needed
            ) as response:
                status = response.status_code
        except requests.RequestException as error:
            return type(error).__name__
        is_accepted = requests.codes.ok <= status < requests.codes.multiple_choices
        return "" if is_accepted else f"status {status}"


def configured_webhook() -> Webhook | None:
    """Return the webhook of this environment, if there is one."""
    url, arn = os.environ.get("WEBHOOK_URL"), os.environ.get("WEBHOOK_SECRET_ARN", "")
    return Webhook(url=url, secret=lambda: _secret(arn)) if url else None


def signed_headers(event_id: str, now: int, body: bytes, secret: str) -> dict[str, str]:
    """Return the headers with the event's id, time and signature."""
    key = secret.encode()
    if secret.startswith(_BASE64_PREFIX):
        key = base64.b64decode(secret.removeprefix(_BASE64_PREFIX), validate=True)
    digest = hmac.digest(key, b"%s.%d.%s" % (event_id.encode(), now, body), hashlib.sha256)
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(now),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    if (parts.scheme, parts.hostname) == ("http", "127.0.0.1"):
        return  # the local stack; the template does not accept such a URL
    if parts.scheme != "https":
        raise ValueError("a webhook must use https")
    if parts.port is not None and parts.port != _TLS_PORT and parts.port < _FIRST_UNRESERVED_PORT:
        raise ValueError("a webhook must not use a reserved port other than 443")


def _secret(arn: str) -> str:
    return str(_secrets().get(arn, max_age=_SECRET_CACHE_SECONDS)).strip()


@lru_cache(maxsize=1)
def _secrets() -> Any:
    from aws_lambda_powertools.utilities.parameters import SecretsProvider  # noqa: PLC0415 - imports boto3

    return SecretsProvider()
