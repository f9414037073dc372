"""Queues that invoke functions: what comes, what comes again, what ends as a dead letter."""

import asyncio
import functools
import json
from pathlib import Path
from typing import Any

import pytest

from local.cloudformation.intrinsics import REGION
from local.lambda_runtime.event_sources import failed_ids
from local.stack import Stack
from tests.local.batch_stack import batch_stack, lines, until
from tests.local.small_stack import in_loop


async def send(stack: Stack, *bodies: str) -> None:
    """Puts messages into the jobs queue, up to ten of them at once."""
    entries = [
        {
            "Id": str(number),
            "MessageBody": body,
            "MessageAttributes": {"of": {"StringValue": body, "DataType": "String"}},
        }
        for number, body in enumerate(bodies)
    ]
    sqs, url = stack.aws("sqs"), stack.template.ref("Jobs")
    await asyncio.to_thread(sqs.send_message_batch, QueueUrl=url, Entries=entries)


async def dead_letters(stack: Stack, count: int) -> list[str]:
    """Bodies of the first dead letters."""
    sqs, url = stack.aws("sqs"), stack.template.ref("DeadLetters")
    found: list[str] = []

    def look() -> bool:
        got = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        found.extend(message["Body"] for message in got)
        return len(found) >= count

    await until(look)
    return sorted(found)


def received(tmp_path: Path) -> set[tuple[str, str]]:
    """Bodies of the messages that came, and how often each had come then."""
    return {
        (record["body"], record["attributes"]["ApproximateReceiveCount"])
        for note in lines(tmp_path / "jobs")
        for record in note["event"]["Records"]
    }


def left(stack: Stack) -> int:
    """How many messages are in the jobs queue, whether anybody has them at the moment or not."""
    names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
    said = stack.aws("sqs").get_queue_attributes(
        QueueUrl=stack.template.ref("Jobs"), AttributeNames=["All"]
    )
    return sum(int(said["Attributes"][name]) for name in names)


def done(tmp_path: Path) -> list[str]:
    notes = tmp_path / "jobs-done"
    return [line.split()[1] for line in notes.read_text().splitlines()] if notes.exists() else []


def has_begun(tmp_path: Path, invocations: int) -> bool:
    return len(lines(tmp_path / "jobs")) == invocations


@in_loop
async def test_reported_failures_are_redelivered_and_then_become_dead_letters(
    tmp_path: Path,
) -> None:
    async with batch_stack(tmp_path, Visibility=3) as stack:
        await send(stack, "good")
        await until(lambda: done(tmp_path))  # a cold start may take longer than messages are hidden
        await send(stack, "fail", "fine")
        assert await dead_letters(stack, 1) == ["fail"]
        assert left(stack) == 0
    assert sorted(done(tmp_path)) == ["fail", "fail", "fine", "good"]
    counts = [
        record["attributes"]["ApproximateReceiveCount"]
        for note in lines(tmp_path / "jobs")
        for record in note["event"]["Records"]
        if record["body"] == "fail"
    ]
    assert counts == ["1", "2"]


@pytest.mark.parametrize("body", ["raise", "nonsense"])
@in_loop
async def test_a_batch_whose_function_fails_is_redelivered_completely(
    tmp_path: Path, body: str
) -> None:
    async with batch_stack(tmp_path, Visibility=3) as stack:
        await send(stack, "good")
        await until(lambda: done(tmp_path))  # as above
        await send(stack, "well", body)
        await until(lambda: {("well", "2"), (body, "2")} <= received(tmp_path))


@in_loop
async def test_a_message_is_delivered_in_lambdas_format(tmp_path: Path) -> None:
    async with batch_stack(tmp_path, Visibility=60) as stack:
        await send(stack, "good")
        [note] = await until(lambda: lines(tmp_path / "jobs"))
        arn = stack.template.attribute("Jobs", "Arn")
    [record] = note["event"]["Records"]
    assert {"messageId", "receiptHandle", "md5OfBody"} < {*record}
    assert (record["body"], record["eventSource"]) == ("good", "aws:sqs")
    assert (record["eventSourceARN"], record["awsRegion"]) == (arn, REGION)
    assert record["attributes"]["SentTimestamp"].isdecimal()
    assert record["messageAttributes"]["of"] == {
        "stringValue": "good",
        "dataType": "String",
        "stringListValues": [],
        "binaryListValues": [],
    }


@in_loop
async def test_invocations_never_exceed_the_mapping_s_maximum_concurrency(tmp_path: Path) -> None:
    async with batch_stack(tmp_path, MaximumConcurrency=2, Visibility=60) as stack:
        for begun in (1, 2, 2):
            await send(stack, "stay")
            await until(functools.partial(has_begun, tmp_path, begun))
        await asyncio.sleep(0.3)
        assert len(lines(tmp_path / "jobs")) == 2
        (tmp_path / "go").touch()
        await until(lambda: len(done(tmp_path)) == 3)


@pytest.mark.parametrize(
    ("answer", "failed"),
    [
        (None, set()),
        ({}, set()),
        ({"batchItemFailures": None}, set()),
        ({"batchItemFailures": []}, set()),
        ({"batchItemFailures": [{"itemIdentifier": "a"}]}, {"a"}),
        ({"batchItemFailures": [{"itemIdentifier": "c"}]}, {"a", "b"}),
        ({"batchItemFailures": [{"itemIdentifier": ""}]}, {"a", "b"}),
        ({"batchItemFailures": [{"wrong": "a"}]}, {"a", "b"}),
        ("text", {"a", "b"}),
    ],
)
def test_reported_messages_failed_or_all_of_them_if_the_report_is_invalid(
    answer: Any, failed: set[str]
) -> None:
    assert failed_ids(json.dumps(answer).encode(), {"a", "b"}) == failed
