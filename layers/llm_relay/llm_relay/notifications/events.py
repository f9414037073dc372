"""Publishes events on EventBridge and to the operator's webhook, signed as Standard Webhooks."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import requests
from aws_lambda_powertools import Logger

from llm_relay.aws.boto3_client import boto3_client
from llm_relay.transport.public_addresses import PublicOnlyAdapter

_EVENT_SOURCE = "llm-relay"
_TIMEOUT_SECONDS = 5.0
_SECRET_CACHE_SECONDS = 300
_BASE64_PREFIX = "whsec_"
_TLS_PORT, _FIRST_UNRESERVED_PORT = 443, 1024

Event = dict[str, Any]


def publish(event_type: str, subject_id: str, data: Mapping[str, Any]) -> None:
    """Publish an event in the format of OpenAI's webhook events.

    Raises if EventBridge does not accept the event; a failure of the webhook is only logged.
    """
    # Repeating an event repeats its id, by which receivers recognize duplicates.
    digest = hashlib.sha256(f"{event_type} {subject_id}".encode()).hexdigest()
    event = {
        "id": f"evt_{digest[:32]}",
        "object": "event",
        "created_at": int(time.time()),
        "type": event_type,
        "data": {**data, "id": subject_id},
    }
    entry = {"Source": _EVENT_SOURCE, "DetailType": event_type, "Detail": json.dumps(event)}
    answer = event_bridge_client().put_events(Entries=[entry])
    if answer["FailedEntryCount"]:
        code = answer["Entries"][0].get("ErrorCode")
        raise RuntimeError(f"EventBridge rejected the event: {code}")
    if url := os.environ.get("WEBHOOK_URL"):
        Webhook(url=url, secret=_secret).send(event)


@lru_cache(maxsize=1)
def event_bridge_client() -> Any:
    """Return the client of this environment, made on first use."""
    retries = {"mode": "standard", "total_max_attempts": 4}
    return boto3_client("events", connect_timeout=2, read_timeout=5, retries=retries)


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """A URL that receives events, and the secret that signs them."""

    url: str
    secret: Callable[[], str]
    pauses: tuple[float, ...] = (1.0, 2.0, 4.0)  # in seconds, between attempts

    def send(self, event: Event) -> None:
        """Send an event, with retries; a failure is logged, never raised."""
        try:
            failure = self._send_with_retries(event)
        except Exception as error:  # noqa: BLE001 - what the event reports has already happened
            failure = type(error).__name__
        if failure:
            # Without the URL, which may contain a password.
            fields = {"event_id": event["id"], "event_type": event["type"], "failure": failure}
            Logger().error("the webhook was not reached", extra=fields)

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


def _secret() -> str:
    from aws_lambda_powertools.utilities.parameters import get_secret  # noqa: PLC0415 - imports boto3

    arn = os.environ.get("WEBHOOK_SECRET_ARN", "")
    return str(get_secret(arn, max_age=_SECRET_CACHE_SECONDS)).strip()
