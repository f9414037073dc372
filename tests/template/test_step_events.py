"""Sample events of the queue and of the state machine are what these hand over."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest

from llm_relay.batch.api.uploads import parse_form
from llm_relay.batch.model.execution import batch_reference
from llm_relay.batch.model.names import manifest_key
from llm_relay.batch.worker.chunk_task import ChunkTask
from tests.template.stack import ROOT, Stack, logical_id

Json = dict[str, Any]

EVENTS = {
    path.relative_to(ROOT / "events").with_suffix("").as_posix(): json.loads(path.read_text())
    for path in (ROOT / "events").glob("*/*.json")
}
MACHINE: Json = json.loads((ROOT / "statemachines" / "batch.asl.json").read_text())["States"]
CHUNKS: Json = MACHINE["RunChunks"]
DOCUMENTED = {
    "attributes",
    "awsRegion",
    "body",
    "eventSource",
    "eventSourceARN",
    "md5OfBody",
    "messageAttributes",
    "messageId",
    "receiptHandle",
}
COUNTED = {
    "ApproximateFirstReceiveTimestamp",
    "ApproximateReceiveCount",
    "SenderId",
    "SentTimestamp",
}


def named(folder: str) -> list[str]:
    return sorted(name for name in EVENTS if name.startswith(f"{folder}/"))


def rule(stack: Stack, name: str) -> Json:
    """The pattern of a rule that starts the state machine."""
    machine = stack.written["Resources"]["BatchStateMachine"]["Properties"]
    pattern: Json = machine["Events"][name]["Properties"]["Pattern"]
    return pattern


def matches(pattern: Json, event: Json) -> bool:
    """Whether an event is one that a rule waits for."""
    return all(
        matches(wanted, event[key])
        if isinstance(wanted, dict)
        else any(accepts(each, event[key]) for each in wanted)
        for key, wanted in pattern.items()
    )


def accepts(wanted: str | Json, value: str) -> bool:
    """Whether a pattern's condition holds; a reference to a resource stands for any value."""
    return (
        value == wanted if isinstance(wanted, str) else value.startswith(wanted.get("prefix", ""))
    )


def test_the_queue_s_function_gets_records_as_sqs_documents_them(stack: Stack) -> None:
    (mapping,) = stack.of_type("AWS::Lambda::EventSourceMapping").values()
    assert mapping["FunctionName"] == {"Ref": logical_id("job_worker")}
    for name in named("job_worker"):
        for record in EVENTS[name]["Records"]:
            assert record.keys() == DOCUMENTED
            assert record["attributes"].keys() == COUNTED
            assert record["eventSource"] == "aws:sqs"
            body = record["body"].encode()
            assert record["md5OfBody"] == hashlib.md5(body, usedforsecurity=False).hexdigest()


@pytest.mark.parametrize(
    ("folder", "state"),
    [
        ("batch_plan", MACHINE["Plan"]),
        ("batch_worker", CHUNKS["ItemProcessor"]["States"]["RunChunk"]),
        ("batch_assemble", MACHINE["Assemble"]),
    ],
)
def test_a_step_s_events_are_for_the_function_that_it_calls(folder: str, state: Json) -> None:
    assert state["Parameters"]["FunctionName"] == f"${{{logical_id(folder)}Arn}}"
    assert named(folder)


@pytest.mark.parametrize("name", named("batch_plan"))
def test_a_plan_gets_its_execution_and_what_started_it(stack: Stack, name: str) -> None:
    handed = {key.removesuffix(".$") for key in MACHINE["Plan"]["Parameters"]["Payload"]}
    event = EVENTS[name]
    assert event.keys() == handed
    given, execution = event["input"], event["execution"].rpartition(":")[2]
    if "detail" in given:
        assert matches(rule(stack, "Inbox"), given)
        assert execution.startswith(given["id"])
    else:
        assert given == {"owner": given["owner"], "batch": execution}


def test_a_worker_first_gets_what_the_map_selects() -> None:
    selected = {key.removesuffix(".$") for key in CHUNKS["ItemSelector"]}
    first = EVENTS["batch_worker/first"]
    assert first.keys() == selected
    assert first["silent_invocations"] == CHUNKS["ItemSelector"]["silent_invocations"]


def test_a_worker_invoked_again_gets_its_own_answer() -> None:
    again = EVENTS["batch_worker/again"]
    before = ChunkTask.from_event(again | {"invocations": again["invocations"] - 1})
    assert again == before.output(
        left=again["left"],
        wait_seconds=again["wait_seconds"],
        silent_invocations=again["silent_invocations"],
    )
    assert again["left"] > 0


@pytest.mark.parametrize("name", named("batch_worker"))
def test_a_chunk_is_a_range_of_the_sample_upload_s_file(name: str) -> None:
    upload = EVENTS["files/create"]
    form = parse_form(upload["headers"]["Content-Type"], base64.b64decode(upload["body"]))
    assert form.file
    rows = form.file.splitlines()
    assert EVENTS[name]["chunk"] == {
        "number": 0,
        "start": 0,
        "end": len(form.file),
        "first_row": 0,
        "rows": len(rows),
    }


def test_the_results_are_assembled_from_the_plan_s_answer() -> None:
    event = EVENTS["batch_assemble/chunks_done"]
    assert CHUNKS["Next"] == "Assemble"
    assert CHUNKS["ResultPath"] is None  # so its own input, which the plan gave, goes on
    assert event.keys() == {"outcome", "owner", "batch", "manifest"}
    assert event["outcome"] == MACHINE["IsReadyToRun"]["Choices"][0]["StringEquals"]
    assert event["manifest"].keys() == {"bucket", "key", "concurrency"}
    assert event["manifest"]["key"] == manifest_key(event["batch"])


def test_a_cancelled_batch_skips_to_its_last_step() -> None:
    choice = MACHINE["Dispatch"]["Choices"][0]
    assert choice == {"Variable": "$.close", "IsPresent": True, "Next": "Assemble"}
    assert EVENTS["batch_assemble/cancelled"].keys() == {"owner", "batch", "close"}


def test_a_failed_execution_names_its_batch(stack: Stack) -> None:
    event = EVENTS["batch_assemble/execution_died"]
    assert matches(rule(stack, "ExecutionFailed"), event)
    subject = batch_reference(event)
    assert subject.execution == event["detail"]["executionArn"]
    assert subject.batch == event["detail"]["name"]
