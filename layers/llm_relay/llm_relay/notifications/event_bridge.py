"""Publishes events on EventBridge and to the operator's webhook."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from llm_relay.aws.boto3_client import boto3_client
from llm_relay.notifications.webhook import configured_webhook

EVENT_SOURCE = "llm-relay"
_ID_DIGITS = 32


def publish(event_type: str, subject_id: str, data: Mapping[str, Any]) -> None:
    """Publish an event in the format of OpenAI's webhook events.

    Repeating it gives the same event id. Raises if EventBridge does not accept the event.
    """
    event = {
        "id": event_id(event_type, subject_id),
        "object": "event",
        "created_at": int(time.time()),
        "type": event_type,
        "data": {**data, "id": subject_id},
    }
    entry = {"Source": EVENT_SOURCE, "DetailType": event_type, "Detail": json.dumps(event)}
    answer = event_bridge_client().put_events(Entries=[entry])
    if answer["FailedEntryCount"]:
        code = answer["Entries"][0].get("ErrorCode")
        raise RuntimeError(f"EventBridge rejected the event: {code}")
    if webhook := configured_webhook():
        webhook.send(event)


def event_id(event_type: str, subject_id: str) -> str:
    """Return the id of an event, by which receivers recognize duplicates."""
    digest = hashlib.sha256(f"{event_type} {subject_id}".encode()).hexdigest()
    return f"evt_{digest[:_ID_DIGITS]}"


@lru_cache(maxsize=1)
def event_bridge_client() -> Any:
    """Return the client of this environment, made on first use."""
    retries = {"mode": "standard", "total_max_attempts": 4}
    return boto3_client("events", connect_timeout=2, read_timeout=5, retries=retries)
