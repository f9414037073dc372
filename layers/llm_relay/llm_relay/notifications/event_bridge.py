"""Tells whoever wants to know that something has ended: on EventBridge, and by a webhook."""

from __future__ import annotations

import hashlib
import json
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from llm_relay.notifications.webhook import configured_webhook

if TYPE_CHECKING:
    from collections.abc import Mapping

EVENT_SOURCE = "llm-relay"

_ID_DIGITS = 32


def publish(kind: str, subject_id: str, data: Mapping[str, Any]) -> None:
    """Tell that something has ended, as OpenAI's webhook events do.

    Doing it again gives the same event id. Raises if EventBridge does not take the event.
    """
    event = {
        "id": event_id(kind, subject_id),
        "object": "event",
        "created_at": int(time.time()),
        "type": kind,
        "data": {**data, "id": subject_id},
    }
    _put(event)
    hook = configured_webhook()
    if hook:
        hook.send(event)


def event_id(kind: str, subject_id: str) -> str:
    """Return the id of an event, by which a receiver knows that it has had it before."""
    return f"evt_{hashlib.sha256(f'{kind} {subject_id}'.encode()).hexdigest()[:_ID_DIGITS]}"


def _put(event: Mapping[str, Any]) -> None:
    entry = {"Source": EVENT_SOURCE, "DetailType": event["type"], "Detail": json.dumps(event)}
    answer = event_bridge_client().put_events(Entries=[entry])
    if answer["FailedEntryCount"]:
        raise RuntimeError(f"EventBridge refused it: {answer['Entries'][0].get('ErrorCode')}")


@lru_cache(maxsize=1)
def event_bridge_client() -> Any:
    """Return the client of this environment, made on first use."""
    import boto3  # noqa: PLC0415 - a quarter of a second that only this needs
    from botocore.config import Config  # noqa: PLC0415

    patience = Config(
        connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 4}
    )
    return boto3.client("events", config=patience)
