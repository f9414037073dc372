"""Lambda's SQS event sources: queues whose messages invoke functions."""

import asyncio
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import aiohttp

from local.aws_emulator.queues import PAUSE_SECONDS, WAIT_SECONDS, AwsCaller, Queue
from local.cloudformation.intrinsics import REGION, UnresolvableError
from local.cloudformation.template import Template
from local.lambda_runtime.environments import CONCURRENCY_LIMIT, LambdaFunction

DEFAULT_BATCH_SIZE = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSource:
    """An event source mapping of the template."""

    queue_url: str
    queue_arn: str
    function: str
    batch_size: int
    window_seconds: float
    reports_failures: bool
    concurrency: int


def read_event_sources(template: Template) -> Iterator[EventSource]:
    """Yield the template's enabled SQS mappings; UnresolvableError for other sources."""
    queues = {
        template.attribute(name, "Arn"): template.ref(name)
        for name in template.ids("AWS::SQS::Queue")
    }
    functions = {template.ref(name): name for name in template.ids("AWS::Lambda::Function")}
    for name in template.ids("AWS::Lambda::EventSourceMapping"):
        properties = template.properties(name)
        arn = properties["EventSourceArn"]
        if arn not in queues:
            raise UnresolvableError(f"{name}: only queues of the template are event sources here")
        if not properties.get("Enabled", True):
            continue
        scaling = properties.get("ScalingConfig", {})
        yield EventSource(
            queue_url=queues[arn],
            queue_arn=arn,
            function=functions[properties["FunctionName"].rpartition(":")[2]],
            batch_size=int(properties.get("BatchSize", DEFAULT_BATCH_SIZE)),
            window_seconds=float(properties.get("MaximumBatchingWindowInSeconds", 0)),
            reports_failures="ReportBatchItemFailures"
            in properties.get("FunctionResponseTypes", []),
            concurrency=int(scaling.get("MaximumConcurrency", CONCURRENCY_LIMIT)),
        )


class Poller:
    """Polls a queue and invokes a function with batches of messages."""

    def __init__(self, source: EventSource, aws: AwsCaller, function: LambdaFunction) -> None:
        self._source, self._function = source, function
        self._queue = Queue(aws, source.queue_url)
        self._free = asyncio.Semaphore(source.concurrency)

    async def run(self) -> None:
        """Poll until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                await self._free.acquire()
                group.create_task(self._deliver(await self._collect()))

    async def _collect(self) -> list[dict[str, Any]]:
        clock = asyncio.get_running_loop().time
        messages: list[dict[str, Any]] = []
        wait_seconds, until = WAIT_SECONDS, math.inf
        while len(messages) < self._source.batch_size and clock() < until:
            try:
                most = self._source.batch_size - len(messages)
                messages += await self._queue.receive(most, wait_seconds)
            except aiohttp.ClientError:
                await asyncio.sleep(PAUSE_SECONDS)
            if messages:
                until = min(until, clock() + self._source.window_seconds)
                wait_seconds = 1
        return messages

    async def _deliver(self, messages: list[dict[str, Any]]) -> None:
        try:
            records = [sqs_record(message, self._source.queue_arn) for message in messages]
            event = json.dumps({"Records": records}, ensure_ascii=False).encode()
            answer, failed = await self._function.invoke_and_read(event)
            if failed:
                return  # the messages reappear after their visibility timeout, and end in the DLQ
            sent = {record["messageId"] for record in records}
            left = failed_ids(answer, sent) if self._source.reports_failures else set()
            done = [message for message in messages if message["MessageId"] not in left]
            with suppress(aiohttp.ClientError):  # redelivered then, as on AWS
                await self._queue.delete(done)
        finally:
            self._free.release()


def failed_ids(answer: bytes, sent: set[str]) -> set[str]:
    """Return the ids of failed messages: all, if the answer is malformed."""
    try:
        report = json.loads(answer) or {}
        named = {item["itemIdentifier"] for item in report.get("batchItemFailures") or []}
    except (ValueError, KeyError, TypeError, AttributeError):
        return sent
    return named if named <= sent else sent


def sqs_record(message: Mapping[str, Any], queue_arn: str) -> dict[str, Any]:
    """Return a message as a Lambda SQS record."""
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message.get("Attributes", {}),
        "messageAttributes": {
            name: {
                "stringListValues": [],
                "binaryListValues": [],
                **{key[0].lower() + key[1:]: part for key, part in value.items()},
            }
            for name, value in message.get("MessageAttributes", {}).items()
        },
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": REGION,
    }
