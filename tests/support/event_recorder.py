"""Records the events that one test publishes on EventBridge."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from llm_relay.notifications.events import event_bridge_client

if TYPE_CHECKING:
    from collections.abc import Iterator


class EventRecorder:
    """A queue that is subscribed to every event of llm-relay."""

    def __init__(self, endpoint_url: str) -> None:
        self.name = f"events-{time.monotonic_ns()}"
        self._sqs: Any = boto3.client("sqs", endpoint_url=endpoint_url)
        self._events: Any = boto3.client("events", endpoint_url=endpoint_url)
        self._url = self._sqs.create_queue(QueueName=self.name)["QueueUrl"]
        attributes = self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn"])
        arn = attributes["Attributes"]["QueueArn"]
        self._events.put_rule(Name=self.name, EventPattern='{"source": ["llm-relay"]}')
        self._events.put_targets(Rule=self.name, Targets=[{"Id": "queue", "Arn": arn}])

    def take(self) -> list[dict[str, Any]]:
        """The events since the last call."""
        events = []
        wanted = {"QueueUrl": self._url, "MaxNumberOfMessages": 10}
        while messages := self._sqs.receive_message(**wanted).get("Messages", []):
            events += [json.loads(each["Body"]) for each in messages]
        return events

    def close(self) -> None:
        self._events.remove_targets(Rule=self.name, Ids=["queue"])
        self._events.delete_rule(Name=self.name)
        self._sqs.delete_queue(QueueUrl=self._url)
        for client in (self._sqs, self._events):
            client.close()


@pytest.fixture
def published_events(environment: pytest.MonkeyPatch, aws: str) -> Iterator[EventRecorder]:
    """The published events, without a webhook."""
    for name in ("WEBHOOK_URL", "WEBHOOK_SECRET_ARN"):
        environment.delenv(name, raising=False)
    event_bridge_client.cache_clear()
    queue = EventRecorder(aws)
    yield queue
    queue.close()
    event_bridge_client().close()
    event_bridge_client.cache_clear()
