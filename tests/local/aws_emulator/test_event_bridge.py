"""EventBridge on the local stack: what comes of an event, and in which form."""

import asyncio
import functools
import io
import json
import uuid
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from boto3.s3.transfer import TransferConfig

from local.aws_emulator.event_bridge import (
    MultipartUploads,
    as_documented,
    read_rules,
    target_input,
)
from local.cloudformation.intrinsics import UnresolvableError
from local.cloudformation.translation import load
from local.stack import Stack
from tests.local.batch_stack import batch_stack, lines, until
from tests.local.small_stack import in_loop

# What moto says of a PutObject.
S3_EVENT = {
    "version": "0",
    "id": "17793124-05d4-b198-2fde-7ededc63b103",
    "detail-type": "Object Created",
    "source": "aws.s3",
    "account": "123456789012",
    "detail": {
        "bucket": {"name": "b"},
        "object": {"key": "k", "size": 5, "eTag": "e", "version-id": "null", "sequencer": "6"},
        "reason": "ObjectCreated",
    },
}


async def put(stack: Stack, detail_type: str) -> str:
    entry = {"Source": "small", "DetailType": detail_type, "Detail": json.dumps({"number": 1})}
    events = stack.aws("events")
    said = await asyncio.to_thread(events.put_events, Entries=[entry])
    return str(said["Entries"][0]["EventId"])


@in_loop
async def test_a_matching_event_reaches_the_target_function_unchanged(tmp_path: Path) -> None:
    async with batch_stack(tmp_path) as stack:
        await put(stack, "Unmatched")
        event_id = await put(stack, "Heard")
        [event] = await until(lambda: lines(tmp_path / "echoed"))
    assert datetime.fromisoformat(event.pop("time")).tzinfo
    assert event == {
        "version": "0",
        "id": event_id,
        "account": "123456789012",
        "source": "small",
        "detail-type": "Heard",
        "region": "us-east-1",
        "resources": [],
        "detail": {"number": 1},
    }


@in_loop
async def test_a_target_can_select_a_part_of_an_event(tmp_path: Path) -> None:
    async with batch_stack(tmp_path) as stack:
        await put(stack, "Reported")
        assert await until(lambda: lines(tmp_path / "echoed")) == [{"number": 1}]


def test_an_event_of_s3_has_the_form_that_aws_documents() -> None:
    message = str(uuid.UUID(int=1))
    first, again, second = (
        as_documented(json.loads(json.dumps(S3_EVENT)), message, at) for at in (10, 10, 20)
    )
    assert first == again
    assert first["id"] == message
    assert first["detail"]["reason"] == "PutObject"
    thing = first["detail"]["object"]
    assert set(thing) == {"key", "size", "etag", "sequencer"}
    assert thing["sequencer"] < second["detail"]["object"]["sequencer"]


async def started_by(stack: Stack, key: str, content: bytes) -> list[dict[str, Any]]:
    """What starts executions when an object is uploaded in parts, and then one that is put."""
    s3 = stack.aws("s3")
    config = TransferConfig(multipart_threshold=1)
    upload = functools.partial(s3.upload_fileobj, Bucket=stack.bucket, Key=key, Config=config)
    await asyncio.to_thread(upload, io.BytesIO(content))
    last = functools.partial(s3.put_object, Bucket=stack.bucket, Key="inbox/last.json", Body=b"[]")
    await asyncio.to_thread(last)
    machines, arn = stack.aws("stepfunctions"), stack.template.ref("Machine")

    def look() -> list[dict[str, Any]] | None:
        found = machines.list_executions(stateMachineArn=arn)["executions"]
        asked = (machines.describe_execution(executionArn=each["executionArn"]) for each in found)
        events = [json.loads(each["input"])["detail"] for each in asked]
        is_there = any(event["object"]["key"] == "inbox/last.json" for event in events)
        return [event for event in events if event["object"]["key"] == key] if is_there else None

    return await until(look)


@in_loop
async def test_an_object_uploaded_in_parts_is_reported_once(tmp_path: Path) -> None:
    async with batch_stack(tmp_path) as stack:
        [event] = await started_by(stack, "inbox/parts.json", b"[]")
    assert event["reason"] == "CompleteMultipartUpload"


def of_parts(**changes: str) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(json.dumps(S3_EVENT))
    event["detail"]["object"] |= {"eTag": "e-2"} | changes
    return event


def test_a_second_upload_of_the_same_object_is_reported() -> None:
    uploads, sent = MultipartUploads(), []
    for message_id in ("put", "completion", "another put", "another completion"):
        if not uploads.is_put(of_parts(), message_id):
            sent.append(message_id)
            uploads.end(of_parts())
    assert sent == ["completion", "another completion"]


def test_a_redelivered_completion_is_still_a_completion() -> None:
    uploads = MultipartUploads()
    results = [uploads.is_put(of_parts(), each) for each in ("put", "put", "done", "done", "done")]
    assert results == [True, True, False, False, False]


def test_a_put_or_deletion_is_not_an_upload() -> None:
    deleted = of_parts() | {"detail-type": "Object Deleted"}
    assert not MultipartUploads().is_put(S3_EVENT, "put")
    assert not MultipartUploads().is_put(deleted, "deletion")
    assert as_documented(deleted, "deletion", 1)["detail"]["reason"] != "CompleteMultipartUpload"


def test_a_target_gets_its_constant_input() -> None:
    assert target_input({"Input": '{"a": 1}'}, S3_EVENT) == '{"a": 1}'


def test_an_unreachable_target_is_refused_with_its_rules_name(tmp_path: Path) -> None:
    target = {"Id": "a", "Arn": "arn:aws:sns:us-east-1:123456789012:topic"}
    rule = {"Type": "AWS::Events::Rule", "Properties": {"Targets": [target]}}
    (tmp_path / "t.yaml").write_text(json.dumps({"Resources": {"Odd": rule}}))
    with pytest.raises(UnresolvableError, match="Odd"):
        list(read_rules(load(tmp_path / "t.yaml"), "http://127.0.0.1:1"))
