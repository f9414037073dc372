"""A jobs queue of one test, its dead letters, and the events of jobs on EventBridge."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from functions.background_responses.handler import handler as follow
from functions.job_worker.handler import handler as work
from functions.responses.handler import handler as create
from llm_relay.jobs.queue import sqs_client
from llm_relay.notifications.events import event_bridge_client
from tests.functions.conftest import Answered, Context, proxy_event, taken

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.batch_environment import BatchAws
    from tests.support.scripted_provider import ScriptedProvider

Message = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobWorld:
    """The queue as SQS hands it to the worker, and the worker's doings."""

    batch: BatchAws
    provider: ScriptedProvider
    queue: str
    event_queue: str

    def send(self, body: Any) -> str:
        """Send a message; returns its id."""
        text = body if isinstance(body, str) else json.dumps(body)
        sent: str = sqs_client().send_message(QueueUrl=self.queue, MessageBody=text)["MessageId"]
        return sent

    def receive(self, most: int = 10) -> list[Message]:
        """Receive what is there as Lambda's poller does, in the records of its event."""
        answer = sqs_client().receive_message(
            QueueUrl=self.queue, MaxNumberOfMessages=most, AttributeNames=["All"]
        )
        return [_record(message) for message in answer.get("Messages", [])]

    def deliver(self, messages: list[Message], seconds: float = 60) -> list[str]:
        """Hand messages to the worker and delete those it is done with; returns the others."""
        result = work({"Records": messages}, Context(seconds, time.monotonic()))
        left = [failure["itemIdentifier"] for failure in result["batchItemFailures"]]
        for message in messages:
            if message["messageId"] not in left:
                handle = message["receiptHandle"]
                sqs_client().delete_message(QueueUrl=self.queue, ReceiptHandle=handle)
        return left

    def hurry(self, messages: list[Message]) -> None:
        """Let the time pass for which messages are hidden."""
        for message in messages:
            sqs_client().change_message_visibility(
                QueueUrl=self.queue, ReceiptHandle=message["receiptHandle"], VisibilityTimeout=0
            )

    def result(self, job_id: str) -> Any:
        """What lies in the bucket as a job's result."""
        return json.loads(self.batch.bucket.get(f"jobs/{job_id}.json"))

    def take_events(self) -> list[tuple[str, Any]]:
        """The type and data of each event since the last call."""
        answer = sqs_client().receive_message(QueueUrl=self.event_queue, MaxNumberOfMessages=10)
        events = [json.loads(message["Body"]) for message in answer.get("Messages", [])]
        for message in answer.get("Messages", []):
            handle = message["ReceiptHandle"]
            sqs_client().delete_message(QueueUrl=self.event_queue, ReceiptHandle=handle)
        return [(event["detail-type"], event["detail"]["data"]) for event in events]

    def ask(
        self, method: str, path: str, payload: Any = None, client: Any = None, **more: Any
    ) -> Answered:
        """Call the Responses API as a client; returns the answer."""
        parts = path.removeprefix("/v1/responses").strip("/").split("/")
        resource = path.replace(parts[0], "{id}", 1) if parts[0] else path
        event = proxy_event(method, resource, payload, **more)
        event["pathParameters"] = {"id": parts[0]} if parts[0] else None
        event["requestContext"]["authorizer"] = {"principalId": "client"} | (client or {})
        handler = follow if parts[0] else create
        return taken(handler(event, Context(60, time.monotonic())))


@pytest.fixture
def job_world(batch_aws: BatchAws, provider: ScriptedProvider) -> Iterator[JobWorld]:
    """A queue named by JOBS_QUEUE_URL; the provider is asked once for each job."""
    batch_aws.environment.setenv("UPSTREAM_MAX_ATTEMPTS", "1")
    cached = (sqs_client, event_bridge_client)
    for made_before in cached:
        made_before.cache_clear()
    name = f"jobs-{time.monotonic_ns()}"
    queue, events = (
        sqs_client().create_queue(QueueName=f"{name}{end}")["QueueUrl"] for end in ("", "-t")
    )
    sqs_client().set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "5340"})
    batch_aws.environment.setenv("JOBS_QUEUE_URL", queue)
    forget = _publish_to(batch_aws.endpoint_url, name, events)
    yield JobWorld(batch=batch_aws, provider=provider, queue=queue, event_queue=events)
    forget()
    for client in (sqs_client, event_bridge_client):
        client().close()
    for made in cached:
        made.cache_clear()


def _publish_to(endpoint_url: str, name: str, queue: str) -> Any:
    arn = sqs_client().get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])[
        "Attributes"
    ]
    events: Any = boto3.client("events", endpoint_url=endpoint_url)
    events.put_rule(Name=name, EventPattern=json.dumps({"source": ["llm-relay"]}))
    events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn["QueueArn"]}])

    def forget() -> None:
        events.remove_targets(Rule=name, Ids=["queue"])
        events.delete_rule(Name=name)
        events.close()

    return forget


def _record(message: Any) -> Message:
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message["Attributes"],
        "messageAttributes": {},
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:jobs",
        "awsRegion": "us-east-1",
    }
