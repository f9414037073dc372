"""The last step of a batch: whatever became of its rows, it ends once and truthfully."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from functions.batch_assemble.handler import handler
from functions.batch_plan.handler import handler as plan
from llm_relay.aws.s3 import s3
from llm_relay.batch.finalize.assemble import assemble as step_of
from llm_relay.batch.finalize.compaction import compact_parts, current_parts
from llm_relay.batch.finalize.merge import merge
from llm_relay.batch.model.execution import StepFailed
from llm_relay.batch.model.leases import Leases
from llm_relay.batch.model.names import parts_prefix, row_request_id
from llm_relay.batch.model.record import CANCELLING, IN_PROGRESS, VALIDATING, Batch
from llm_relay.batch.model.results import RowResult, format_part
from llm_relay.core.deadline import Deadline
from tests.functions.conftest import Context
from tests.support.batch_environment import CHAT

if TYPE_CHECKING:
    from tests.support.batch_environment import BatchAws
    from tests.support.event_recorder import EventRecorder

EXECUTION = "arn:aws:states:us-east-1:123456789012:execution:batch:one"
BODY = {"model": "m-1", "messages": [{"role": "user", "content": "canary-prompt"}]}
PER_CHUNK = 3


def input_of(rows: int) -> bytes:
    lines = [
        {"custom_id": f"row-{at}", "method": "POST", "url": CHAT, "body": BODY}
        for at in range(rows)
    ]
    return "\n\n".join(json.dumps(line) for line in lines).encode()


def planned(world: BatchAws, rows: int, **more: Any) -> Batch:
    """A batch whose rows may be run."""
    world.environment.setenv("BATCH_ROWS_PER_CHUNK", str(PER_CHUNK))
    batch = world.add_batch(input_of(rows), **more)
    event = {"owner": batch.owner, "batch": batch.id}
    assert plan({"execution": EXECUTION, "input": event}, None)["outcome"] == "planned"
    return now_of(world, batch)


def result(row: int, *, is_answer: bool = True, by: str = "first", cost: int = 10) -> RowResult:
    line = {"custom_id": f"row-{row}", "by": by, "response": {"status_code": 200}, "error": None}
    return RowResult(
        row=row,
        line=json.dumps(line).encode() + b"\n",
        is_answer=is_answer,
        cost_nanos=cost,
        tokens_in=100,
        tokens_cached=20,
        tokens_out=7,
        tokens_reasoning=3,
    )


def put(world: BatchAws, batch: Batch, name: str, *results: RowResult) -> None:
    """Write a part as a worker does, of the chunk that its first row is in."""
    chunk = results[0].row // PER_CHUNK
    world.bucket.put(parts_prefix(batch.id, chunk) + name, format_part(results))


def context(seconds: float = 600) -> Context:
    return Context(seconds, time.monotonic())


def assemble(batch: Batch, **more: Any) -> int:
    outcome = handler({"owner": batch.owner, "batch": batch.id} | more, context())
    assert outcome.keys() == {"owner", "batch", "wait_seconds"}
    seconds: int = outcome["wait_seconds"]
    return seconds


def died(batch: Batch, execution: str = EXECUTION, **more: Any) -> dict[str, Any]:
    """The event that an execution of a batch has died."""
    given = json.dumps({"owner": batch.owner, "batch": batch.id} | more)
    detail = {"executionArn": execution, "status": "TIMED_OUT", "input": given}
    return {"source": "aws.states", "time": "2026-11-21T12:00:00Z", "detail": detail}


def arrival(key: str) -> dict[str, Any]:
    """The event that an object has come."""
    detail = {"object": {"key": key, "size": 1, "sequencer": "0A"}}
    return {"time": "2026-11-21T12:00:00Z", "source": "aws.s3", "detail": detail}


def now_of(world: BatchAws, batch: Batch) -> Batch:
    known = world.store.batch(batch.owner, batch.id)
    assert known
    return known


def lines_of(world: BatchAws, batch: Batch, kind: str) -> list[dict[str, Any]]:
    try:
        content = world.bucket.get(f"{batch.results}{kind}.jsonl")
    except KeyError:
        return []
    assert content.endswith(b"\n")
    return [json.loads(line) for line in content.splitlines()]


def ids_of(world: BatchAws, batch: Batch, kind: str) -> list[str]:
    return [line["custom_id"] for line in lines_of(world, batch, kind)]


def test_results_become_two_files_that_are_counted_once(
    batch_aws: BatchAws, published_events: EventRecorder
) -> None:
    batch = planned(batch_aws, 5, results_seconds=3600)
    put(batch_aws, batch, "0001-000000", result(1), result(0, is_answer=False))
    put(batch_aws, batch, "0001-000001", result(2))
    put(batch_aws, batch, "0001-000000", result(4), result(3))
    assert assemble(batch) == 0
    assert ids_of(batch_aws, batch, "output") == ["row-1", "row-2", "row-4", "row-3"]
    assert ids_of(batch_aws, batch, "errors") == ["row-0"]
    known = now_of(batch_aws, batch)
    assert (known.status, known.total, known.completed, known.failed) == ("completed", 5, 4, 1)
    assert known.cost_nanos == 50
    assert known.usage == {
        "input_tokens": 500,
        "input_tokens_details": {"cached_tokens": 100},
        "output_tokens": 35,
        "output_tokens_details": {"reasoning_tokens": 15},
        "total_tokens": 535,
    }
    assert known.times.keys() >= {"in_progress_at", "finalizing_at", "completed_at"}
    for file_id, kind in ((known.output_file_id, "output"), (known.error_file_id, "errors")):
        file = batch_aws.store.file(batch.owner, file_id or "")
        assert file
        assert file.key == f"batches/{batch.id}/{kind}.jsonl"
        assert file.bytes == len(batch_aws.bucket.get(file.key))
        assert file.purpose == "batch_output"
        assert (file.expires_at or 0) - file.created_at == 3600
    (event,) = published_events.take()
    assert event["detail-type"] == "batch.completed"
    place = f"s3://{batch_aws.bucket.name}/batches/{batch.id}"
    assert event["detail"]["data"] == {
        "id": batch.id,
        "owner": batch.owner,
        "request_counts": {"total": 5, "completed": 4, "failed": 1},
        "input": f"s3://{batch_aws.bucket.name}/{batch.input_key}",
        "output": f"{place}/output.jsonl",
        "errors": f"{place}/errors.jsonl",
    }


def test_the_first_of_two_results_of_a_row_counts(
    batch_aws: BatchAws, published_events: EventRecorder
) -> None:
    batch = planned(batch_aws, 2)
    put(batch_aws, batch, "0002-000000", result(0, by="second", cost=99), result(1))
    put(batch_aws, batch, "0001-000000", result(0))
    assemble(batch)
    lines = lines_of(batch_aws, batch, "output")
    assert [(line["custom_id"], line["by"]) for line in lines] == [
        ("row-0", "first"),
        ("row-1", "first"),
    ]
    assert now_of(batch_aws, batch).cost_nanos == 20


def test_an_empty_result_file_is_not_created(
    batch_aws: BatchAws, published_events: EventRecorder
) -> None:
    batch = planned(batch_aws, 1)
    put(batch_aws, batch, "0001-000000", result(0))
    assemble(batch)
    known = now_of(batch_aws, batch)
    assert (known.error_file_id, known.output_file_id is None) == (None, False)
    assert not list(batch_aws.bucket.keys(f"{batch.results}errors"))
    assert published_events.take()[0]["detail"]["data"]["errors"] is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"status": CANCELLING}, ("cancelled", "batch_cancelled", 0)),
        ({"expires_at": 1}, ("expired", "batch_expired", 0)),
        ({"status": IN_PROGRESS}, ("completed", "batch_failed", 4)),
    ],
)
def test_rows_that_were_never_run_are_reported_with_the_reason(
    batch_aws: BatchAws,
    published_events: EventRecorder,
    changes: dict[str, Any],
    expected: tuple[str, str, int],
) -> None:
    status, code, failed = expected
    batch = planned(batch_aws, 5)
    batch_aws.store.update_batch(batch.owner, batch.id, {batch.status}, **changes)
    put(batch_aws, batch, "0001-000000", result(1))
    assemble(batch)
    assert ids_of(batch_aws, batch, "output") == ["row-1"]
    lines = lines_of(batch_aws, batch, "errors")
    assert [line["custom_id"] for line in lines] == ["row-0", "row-2", "row-3", "row-4"]
    assert {line["error"]["code"] for line in lines} == {code}
    assert [line["response"] for line in lines] == [None] * 4
    assert lines[0]["id"] == row_request_id(batch.id, 0)
    known = now_of(batch_aws, batch)
    assert (known.status, known.completed, known.failed) == (status, 1, failed)
    assert known.times[f"{status}_at"]
    assert published_events.take()[0]["detail-type"] == f"batch.{status}"


def test_an_expired_batch_with_all_results_is_completed(
    batch_aws: BatchAws, published_events: EventRecorder
) -> None:
    batch = planned(batch_aws, 1, expires_at=1)
    put(batch_aws, batch, "0001-000000", result(0))
    assemble(batch)
    assert now_of(batch_aws, batch).status == "completed"


def test_a_batch_without_any_run_row_has_failed(
    batch_aws: BatchAws, published_events: EventRecorder
) -> None:
    batch = planned(batch_aws, 2)
    assemble(batch)
    known = now_of(batch_aws, batch)
    assert (known.status, known.failed, known.output_file_id) == ("failed", 2, None)
    assert known.errors[0]["code"] == "batch_failed"
    assert "Submit" in known.errors[0]["message"]
    assert ids_of(batch_aws, batch, "errors") == ["row-0", "row-1"]


def test_a_batch_cancelled_before_its_rows_were_counted_has_no_files(
    batch_aws: BatchAws, published_events: EventRecorder
) -> None:
    batch = batch_aws.add_batch(input_of(2), status=CANCELLING)
    assemble(batch, close=True)
    known = now_of(batch_aws, batch)
    assert (known.status, known.output_file_id, known.error_file_id) == ("cancelled", None, None)
    assert not list(batch_aws.bucket.keys(f"{batch.results}errors"))


def test_a_batch_ends_even_if_its_input_was_deleted(
    batch_aws: BatchAws, published_events: EventRecorder
) -> None:
    batch = planned(batch_aws, 2)
    put(batch_aws, batch, "0001-000000", result(1))
    batch_aws.bucket.delete(batch.input_key)
    assemble(batch)
    (line,) = lines_of(batch_aws, batch, "errors")
    assert (line["id"], line["custom_id"]) == (row_request_id(batch.id, 0), None)
    assert line["error"]["code"] == "input_changed"


def replaced(world: BatchAws, batch: Batch) -> None:
    """Put another file, just as long, in the place of a batch's own."""
    content = world.bucket.get(batch.input_key)
    world.bucket.put(batch.input_key, content.replace(b"row-", b"new-"))


def test_rows_whose_file_was_replaced_are_reported_without_another_file_s_ids(
    batch_aws: BatchAws, published_events: EventRecorder
) -> None:
    batch = planned(batch_aws, 4)
    put(batch_aws, batch, "0001-000000", result(0), result(1))
    replaced(batch_aws, batch)
    assemble(batch)
    assert ids_of(batch_aws, batch, "output") == ["row-0", "row-1"]
    lines = lines_of(batch_aws, batch, "errors")
    assert [line["id"] for line in lines] == [row_request_id(batch.id, row) for row in (2, 3)]
    assert {line["custom_id"] for line in lines} == {None}
    assert {line["error"]["code"] for line in lines} == {"input_changed"}
    assert "Submit" in lines[0]["error"]["message"]
    known = now_of(batch_aws, batch)
    assert (known.status, known.completed, known.failed) == ("completed", 2, 2)


def test_a_batch_whose_file_was_replaced_before_any_row_was_run_says_so(
    batch_aws: BatchAws, published_events: EventRecorder
) -> None:
    batch = planned(batch_aws, 2)
    replaced(batch_aws, batch)
    assemble(batch)
    known = now_of(batch_aws, batch)
    assert (known.status, known.errors[0]["code"]) == ("failed", "input_changed")
    assert "Submit it again" in known.errors[0]["message"]


def test_a_cancelled_batch_is_reported_as_cancelled_even_if_its_file_was_replaced(
    batch_aws: BatchAws, published_events: EventRecorder
) -> None:
    batch = planned(batch_aws, 1)
    batch_aws.store.update_batch(batch.owner, batch.id, {batch.status}, status=CANCELLING)
    replaced(batch_aws, batch)
    assemble(batch)
    (line,) = lines_of(batch_aws, batch, "errors")
    assert (line["custom_id"], line["error"]["code"]) == (None, "batch_cancelled")


def test_assembly_waits_for_workers_that_hold_a_chunk(
    batch_aws: BatchAws, published_events: EventRecorder
) -> None:
    batch = planned(batch_aws, 1)
    leases = Leases(batch_aws.table)
    lease = leases.acquire(batch.id, 0)
    assert not isinstance(lease, int)
    assert 0 < assemble(batch) <= 20
    # A worker that reads the batch from now on takes no more rows of it.
    assert now_of(batch_aws, batch).status == "finalizing"
    assert published_events.take() == []
    put(batch_aws, batch, "0001-000000", result(0))
    leases.release(lease)
    assert assemble(batch) == 0
    assert now_of(batch_aws, batch).status == "completed"


def test_a_repeated_assembly_changes_and_publishes_nothing(
    batch_aws: BatchAws, published_events: EventRecorder
) -> None:
    batch = planned(batch_aws, 2)
    put(batch_aws, batch, "0001-000000", result(0))
    assemble(batch)
    known, output = now_of(batch_aws, batch), ids_of(batch_aws, batch, "output")
    assemble(batch)
    handler(died(batch), context())
    assert now_of(batch_aws, batch) == known
    assert ids_of(batch_aws, batch, "output") == output
    assert len(published_events.take()) == 1


def test_an_end_unpublished_before_a_crash_is_published_by_the_next_attempt(
    batch_aws: BatchAws, published_events: EventRecorder
) -> None:
    batch = planned(batch_aws, 1)
    batch_aws.store.update_batch(batch.owner, batch.id, {batch.status}, status="completed")
    assemble(batch)
    (event,) = published_events.take()
    assert event["detail-type"] == "batch.completed"
    stored = json.loads(batch_aws.bucket.get(f"{batch.results}batch.json"))
    assert stored == now_of(batch_aws, batch).document()


def test_two_concurrent_assemblies_have_one_result(
    batch_aws: BatchAws, published_events: EventRecorder
) -> None:
    batch = planned(batch_aws, 9)
    for chunk in range(3):
        put(batch_aws, batch, "0001-000000", result(3 * chunk), result(3 * chunk + 1))
    both = [threading.Thread(target=assemble, args=(batch,)) for _ in range(2)]
    for each in both:
        each.start()
    for each in both:
        each.join(timeout=60)
    known = now_of(batch_aws, batch)
    assert (known.status, known.completed, known.failed, known.cost_nanos) == (
        "completed",
        6,
        3,
        60,
    )
    assert len(ids_of(batch_aws, batch, "output")) == 6
    assert len({event["detail"]["id"] for event in published_events.take()}) == 1


def test_the_slower_of_two_assemblies_keeps_the_result_of_the_faster(
    batch_aws: BatchAws, published_events: EventRecorder
) -> None:
    batch = planned(batch_aws, 2)
    put(batch_aws, batch, "0001-000000", result(0))
    calls = s3().meta.events

    def faster(**_: Any) -> None:
        calls.unregister(when, faster)
        assert assemble(batch) == 0
        batch_aws.bucket.delete(batch.input_key)  # which anybody may, once it has ended

    when = "before-send.s3.GetObject"
    calls.register(when, faster)
    assert assemble(batch) == 1
    assert ids_of(batch_aws, batch, "errors") == ["row-1"]
    known = now_of(batch_aws, batch)
    assert assemble(batch) == 0
    assert now_of(batch_aws, batch) == known
    assert len(published_events.take()) == 1


def test_an_interrupted_assembly_leaves_no_file_and_is_repeated(
    batch_aws: BatchAws, published_events: EventRecorder
) -> None:
    batch = planned(batch_aws, 4)
    put(batch_aws, batch, "0001-000000", result(0))
    broken = parts_prefix(batch.id, 1) + "0001-000000"
    batch_aws.bucket.put(broken, b"no part\n")
    with pytest.raises(StepFailed):
        assemble(batch)
    assert now_of(batch_aws, batch).status == "finalizing"
    assert not list(batch_aws.bucket.keys(f"{batch.results}output"))
    put(batch_aws, batch, "0001-000000", result(3))
    assemble(batch)
    known = now_of(batch_aws, batch)
    assert (known.status, known.completed) == ("completed", 2)


def test_many_small_parts_are_merged_before_they_are_assembled(
    batch_aws: BatchAws,
) -> None:
    batch = planned(batch_aws, 9)
    for row in range(8):
        put(batch_aws, batch, f"0001-{row:06d}", result(row))
    put(batch_aws, batch, "0002-000000", result(0, by="second"), result(2, by="second"))
    bucket, never = batch_aws.bucket, Deadline.after(600)
    before = list(current_parts(bucket, batch))
    assert not compact_parts(bucket, batch, Deadline.after(0), max_parts=6)
    assert not compact_parts(bucket, batch, Deadline.after(0), max_parts=6)
    assert compact_parts(bucket, batch, Deadline.after(0), max_parts=6)
    after = list(current_parts(bucket, batch))
    assert (len(before), len(after)) == (9, 4)
    assert compact_parts(bucket, batch, never, max_parts=1)
    assert len(list(current_parts(bucket, batch))) == 3
    tally = merge(bucket, replace(batch, times={"finalizing_at": 0}))
    assert (tally.completed, tally.unprocessed, tally.cost_nanos) == (8, 1, 80)
    assert {line["by"] for line in lines_of(batch_aws, batch, "output")} == {"first"}


def test_a_batch_of_too_many_parts_takes_several_invocations(
    batch_aws: BatchAws, published_events: EventRecorder
) -> None:
    batch = planned(batch_aws, 6)
    for row in range(6):
        put(batch_aws, batch, f"0001-{row:06d}", result(row))
    event = {"owner": batch.owner, "batch": batch.id}
    waits = [step_of(event, 0, max_parts=2)["wait_seconds"] for _ in range(3)]
    assert waits == [1, 1, 0]
    assert now_of(batch_aws, batch).completed == 6
    assert len(published_events.take()) == 1


def test_a_failed_execution_ends_its_batch(
    batch_aws: BatchAws, published_events: EventRecorder
) -> None:
    batch = planned(batch_aws, 1)
    put(batch_aws, batch, "0001-000000", result(0))
    outcome = handler(died(batch), context())
    assert outcome == {"owner": batch.owner, "batch": batch.id, "wait_seconds": 0}
    assert now_of(batch_aws, batch).status == "completed"


def test_a_batch_whose_file_was_not_checked_to_its_end_fails(
    batch_aws: BatchAws, published_events: EventRecorder
) -> None:
    batch = batch_aws.add_batch(input_of(1))
    assert batch.status == VALIDATING
    batch_aws.store.claim(batch.owner, batch.id, EXECUTION)
    handler(died(batch), context())
    known = now_of(batch_aws, batch)
    assert (known.status, known.error_count) == ("failed", 1)
    assert "Submit it again" in known.errors[0]["message"]
    assert len(published_events.take()) == 1


def test_an_execution_that_failed_before_its_first_step_ends_its_batch(
    batch_aws: BatchAws, published_events: EventRecorder
) -> None:
    batch = batch_aws.add_batch(input_of(1))
    handler(died(batch), context())
    known = now_of(batch_aws, batch)
    assert (known.status, known.execution, known.errors[0]["code"]) == (
        "failed",
        None,
        "batch_failed",
    )
    assert len(published_events.take()) == 1


def test_a_failed_execution_does_not_end_the_batch_of_another(
    batch_aws: BatchAws, published_events: EventRecorder
) -> None:
    batch = planned(batch_aws, 1)
    handler(died(batch, EXECUTION + "-duplicate"), context())
    assert now_of(batch_aws, batch).status == "in_progress"


def test_a_cancellation_is_completed_after_its_execution_failed(
    batch_aws: BatchAws, published_events: EventRecorder
) -> None:
    batch = planned(batch_aws, 1)
    batch_aws.store.update_batch(batch.owner, batch.id, {batch.status}, status=CANCELLING)
    handler(died(batch, f"{EXECUTION}-close", close=True), context())
    assert now_of(batch_aws, batch).status == "cancelled"


def test_a_failed_inbox_execution_ends_its_batch(
    batch_aws: BatchAws, published_events: EventRecorder
) -> None:
    batch_aws.bucket.put("inbox/a.jsonl", input_of(1))
    arrived = arrival("inbox/a.jsonl")
    outcome = plan({"execution": EXECUTION, "input": arrived}, None)
    detail = {"executionArn": EXECUTION, "input": json.dumps(arrived)}
    assert handler({"detail": detail}, context())["batch"] == outcome["batch"]
    known = batch_aws.store.batch("operator", outcome["batch"])
    assert known
    assert known.status == "failed"
    assert ids_of(batch_aws, known, "errors") == ["row-0"]
    stored = json.loads(batch_aws.bucket.get(f"outbox/a/{known.id}/batch.json"))
    assert stored["status"] == "failed"


def test_an_inbox_file_that_no_step_has_read_is_reported_as_failed(
    batch_aws: BatchAws, published_events: EventRecorder
) -> None:
    arrived = arrival("inbox/a.jsonl")
    batch_aws.bucket.put("inbox/a.jsonl", input_of(1))
    outcome = handler(
        {"detail": {"executionArn": EXECUTION, "input": json.dumps(arrived)}}, context()
    )
    place = f"outbox/a/{outcome['batch']}/batch.json"
    assert json.loads(batch_aws.bucket.get(place))["status"] == "failed"
    assert published_events.take()[0]["detail"]["data"]["id"] == outcome["batch"]
    # The event may have come twice, to an execution that lives.
    again = plan({"execution": f"{EXECUTION}-other", "input": arrived}, None)
    assert (again["batch"], again["outcome"]) == (outcome["batch"], "failed")
    assert published_events.take() == []


def test_a_folder_in_the_inbox_is_not_a_batch_even_if_its_execution_failed(
    batch_aws: BatchAws,
) -> None:
    detail = {"executionArn": EXECUTION, "input": json.dumps(arrival("inbox/a/"))}
    assert handler({"detail": detail}, context())["wait_seconds"] == 0
    assert batch_aws.items() == []


def test_an_unknown_batch_is_ignored(batch_aws: BatchAws) -> None:
    event = {"owner": "operator", "batch": "batch_0"}
    assert handler(event, context()) == event | {"wait_seconds": 0}


def test_one_line_is_logged_and_it_quotes_nothing(
    batch_aws: BatchAws, published_events: EventRecorder, capsys: pytest.CaptureFixture[str]
) -> None:
    batch = planned(batch_aws, 2)
    put(batch_aws, batch, "0001-000000", result(0))
    capsys.readouterr()
    started = time.monotonic()
    assemble(batch)
    (line,) = capsys.readouterr().out.splitlines()
    logged = json.loads(line)
    assert (logged["completed"], logged["unprocessed"], logged["cost_nanos"]) == (1, 1, 10)
    assert 0 <= logged["seconds"] <= time.monotonic() - started
    assert "canary" not in line
