"""The first step of a batch: what is checked, what is planned, and what a repeat does."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from functions.batch_plan.handler import handler
from llm_relay.batch.model.execution import StepFailed
from llm_relay.batch.model.input_file import parse_manifest, read_lines
from llm_relay.batch.model.record import CANCELLED, CANCELLING, VALIDATING, Batch
from llm_relay.core.client import Client
from tests.support.batch_environment import CHAT, OWNER
from tests.support.scripted_provider import whole

if TYPE_CHECKING:
    from tests.support.batch_environment import BatchAws
    from tests.support.event_recorder import EventRecorder
    from tests.support.scripted_provider import ScriptedProvider

EXECUTION = "arn:aws:states:us-east-1:123456789012:execution:batch:one"
OTHER_EXECUTION = EXECUTION.replace(":one", ":two")
BODY = {"model": "m-1", "messages": [{"role": "user", "content": "canary-prompt"}]}
PRICED = {"id": "m-1", "pricing": {"prompt": "0.1", "completion": "0.1"}, "context_length": 9000}
BUDGET = Client(id="c-1", key_id=OWNER, budget_nanos=10**12)


def row(custom_id: str, **more: Any) -> bytes:
    document = {"custom_id": custom_id, "method": "POST", "url": CHAT, "body": BODY} | more
    return json.dumps(document).encode() + b"\n"


def plan(batch: Batch, execution: str = EXECUTION) -> dict[str, Any]:
    event = {"owner": batch.owner, "batch": batch.id}
    return handler({"execution": execution, "input": event}, None)


def inbox_event(
    key: str, size: int = 1, sequencer: str = "0A", etag: str = "e", **more: str
) -> dict[str, Any]:
    return {
        "time": "2026-11-21T12:00:00Z",
        "source": "aws.s3",
        "detail-type": "Object Created",
        "detail": {
            "bucket": {"name": "b"},
            "object": {"key": key, "size": size, "etag": etag, "sequencer": sequencer},
        },
    } | more


def dropped(world: BatchAws, rows: bytes, sequencer: str = "0A") -> dict[str, Any]:
    """Put a file into the inbox, and return the event of it."""
    key = "inbox/a/b.jsonl"
    world.bucket.put(key, rows)
    etag = world.bucket.head(key)["ETag"].strip('"')  # as events spell it
    return inbox_event(key, len(rows), sequencer, etag)


def now_of(world: BatchAws, outcome: dict[str, Any]) -> Batch:
    batch = world.store.batch(outcome["owner"], outcome["batch"])
    assert batch
    return batch


def test_a_good_file_becomes_chunks(batch_aws: BatchAws, published_events: EventRecorder) -> None:
    batch_aws.environment.setenv("BATCH_ROWS_PER_CHUNK", "2")
    batch_aws.environment.setenv("BATCH_WORKERS", "7")
    content = row("a") + b"\r\n" + row("b") + row("c").rstrip()
    batch = batch_aws.add_batch(content)
    outcome = plan(batch)
    place = {"bucket": batch_aws.bucket.name, "key": f"batches/{batch.id}/manifest.json"}
    assert outcome == {
        "outcome": "planned",
        "owner": batch.owner,
        "batch": batch.id,
        "manifest": place | {"concurrency": 7},
    }
    chunks = parse_manifest(batch_aws.bucket.get(place["key"]))
    texts = [
        [
            json.loads(line.text)["custom_id"]
            for line in read_lines([content[each.start : each.end]])
        ]
        for each in chunks
    ]
    assert texts == [["a", "b"], ["c"]]
    known = now_of(batch_aws, outcome)
    assert (known.status, known.total, known.execution) == ("in_progress", 3, EXECUTION)
    assert known.times["in_progress_at"] >= batch.created_at
    assert known.input_etag == batch_aws.bucket.head(batch.input_key)["ETag"]
    assert published_events.take() == []


def test_a_file_with_a_bad_line_fails_as_a_whole(
    batch_aws: BatchAws, published_events: EventRecorder
) -> None:
    batch = batch_aws.add_batch(row("a") + b"\n" + row("b", method="GET") + row("a"))
    outcome = plan(batch)
    known = now_of(batch_aws, outcome)
    assert (outcome["outcome"], known.status, known.total) == ("failed", "failed", 0)
    errors = known.document()["errors"]
    assert (errors["object"], errors["total"]) == ("list", 2)
    assert [(each["line"], each["code"], each["param"]) for each in errors["data"]] == [
        (3, "invalid_method", "method"),
        (4, "duplicate_custom_id", "custom_id"),
    ]
    assert known.times["failed_at"] >= batch.created_at
    assert list(batch_aws.bucket.keys(f"batches/{batch.id}/manifest")) == []
    (event,) = published_events.take()
    assert (event["source"], event["detail-type"]) == ("llm-relay", "batch.failed")
    assert (event["detail"]["data"]["id"], event["detail"]["data"]["owner"]) == (batch.id, OWNER)


def test_a_missing_file_fails_the_batch(
    batch_aws: BatchAws, published_events: EventRecorder
) -> None:
    batch = batch_aws.add_batch(row("a"))
    batch_aws.bucket.delete(batch.input_key)
    known = now_of(batch_aws, plan(batch))
    assert (known.status, known.errors[0]["code"]) == ("failed", "file_not_found")


def test_a_repeated_plan_is_identical_and_publishes_nothing_twice(
    batch_aws: BatchAws, published_events: EventRecorder
) -> None:
    good, bad = batch_aws.add_batch(row("a")), batch_aws.add_batch(b"oops")
    first = [plan(good), plan(bad)]
    known = [now_of(batch_aws, each) for each in first]
    assert [plan(good), plan(bad)] == first
    assert [now_of(batch_aws, each) for each in first] == known
    assert len(published_events.take()) == 1


def test_a_second_execution_does_not_change_the_batch(batch_aws: BatchAws) -> None:
    batch = batch_aws.add_batch(row("a"))
    known = now_of(batch_aws, plan(batch))
    outcome = plan(batch, OTHER_EXECUTION)
    assert outcome["outcome"] == "duplicate"
    assert now_of(batch_aws, outcome) == known


@pytest.mark.parametrize("status", [CANCELLING, CANCELLED])
def test_a_batch_that_was_cancelled_is_not_planned(batch_aws: BatchAws, status: str) -> None:
    batch = batch_aws.add_batch(row("a"), status=status)
    outcome = plan(batch)
    assert outcome["outcome"] == "stopped"
    assert now_of(batch_aws, outcome).status == status


def test_a_file_in_the_inbox_becomes_a_batch_of_the_operator(batch_aws: BatchAws) -> None:
    url = "/v1/responses"
    content = row("a", url=url, body={"model": "m-1", "input": "Hello"})
    event = dropped(batch_aws, content)
    outcome = handler({"execution": EXECUTION, "input": event}, None)
    batch = now_of(batch_aws, outcome)
    assert (outcome["outcome"], outcome["owner"]) == ("planned", "operator")
    assert (batch.endpoint, batch.total, batch.client.budget_nanos) == (url, 1, None)
    assert batch.results == f"outbox/a/b/{batch.id}/"
    assert batch.expires_at - batch.created_at == 86_400
    assert abs(batch.created_at - time.time()) < 60
    file = batch_aws.store.file("operator", batch.input_file_id)
    assert file
    assert (file.filename, file.key, file.bytes) == ("b.jsonl", "inbox/a/b.jsonl", len(content))


def test_an_event_delivered_twice_creates_one_batch(batch_aws: BatchAws) -> None:
    event = dropped(batch_aws, row("a"))
    first = handler({"execution": EXECUTION, "input": event}, None)
    again = handler({"execution": EXECUTION, "input": event}, None)
    other = handler({"execution": OTHER_EXECUTION, "input": event}, None)
    assert first == again
    assert (other["batch"], other["outcome"]) == (first["batch"], "duplicate")
    assert len(batch_aws.store.batches("operator", None, 10)) == 1


def test_a_new_file_under_an_old_name_is_a_new_batch(batch_aws: BatchAws) -> None:
    event = dropped(batch_aws, row("a"))
    newer = inbox_event("inbox/a/b.jsonl", sequencer="0B")
    ids = {
        handler({"execution": execution, "input": arrived}, None)["batch"]
        for execution, arrived in ((EXECUTION, event), (OTHER_EXECUTION, newer))
    }
    assert len(ids) == 2


def test_a_file_that_is_replaced_before_it_was_read_is_run_once(
    batch_aws: BatchAws, published_events: EventRecorder
) -> None:
    stale, fresh = (
        dropped(batch_aws, row(name), sequencer) for name, sequencer in (("a", "0A"), ("b", "0B"))
    )
    outcomes = [
        handler({"execution": execution, "input": event}, None)
        for execution, event in ((EXECUTION, stale), (OTHER_EXECUTION, fresh))
    ]
    assert [each["outcome"] for each in outcomes] == ["failed", "planned"]
    (error,) = now_of(batch_aws, outcomes[0]).errors
    assert (error["code"], error["line"]) == ("input_changed", None)
    assert [event["detail-type"] for event in published_events.take()] == ["batch.failed"]


def test_an_event_without_an_etag_is_accepted(batch_aws: BatchAws) -> None:
    event = dropped(batch_aws, row("a"))
    del event["detail"]["object"]["etag"]
    assert handler({"execution": EXECUTION, "input": event}, None)["outcome"] == "planned"


def test_a_bad_file_in_the_inbox_is_reported_in_the_outbox(
    batch_aws: BatchAws, published_events: EventRecorder
) -> None:
    event = dropped(batch_aws, b"oops\n")
    batch = now_of(batch_aws, handler({"execution": EXECUTION, "input": event}, None))
    stored = json.loads(batch_aws.bucket.get(f"outbox/a/b/{batch.id}/batch.json"))
    assert stored["status"] == "failed"
    assert stored["errors"]["data"][0]["line"] == 1


def test_a_folder_in_the_inbox_is_not_a_batch(batch_aws: BatchAws) -> None:
    event = inbox_event("inbox/a/", 0)
    assert handler({"execution": EXECUTION, "input": event}, None)["outcome"] == "duplicate"
    assert batch_aws.items() == []


def test_rows_on_a_budget_are_checked_with_one_read_of_the_model_list(
    batch_aws: BatchAws, provider: ScriptedProvider, published_events: EventRecorder
) -> None:
    provider.scripts = [whole(200, {"data": [PRICED]})]
    capped = BODY | {"max_tokens": 5}
    rows = [row(str(at), body=capped | {"model": f"m-{at}"}) for at in (1, 2, 3)]
    batch = batch_aws.add_batch(b"".join(rows), client=BUDGET)
    known = now_of(batch_aws, plan(batch))
    assert [(each["line"], each["code"]) for each in known.errors] == [
        (2, "model_unpriced"),
        (3, "model_unpriced"),
    ]
    assert [each.path for each in provider.requests] == ["/v1/models"]


def test_without_a_budget_the_provider_is_not_called(
    batch_aws: BatchAws, provider: ScriptedProvider
) -> None:
    assert plan(batch_aws.add_batch(row("a")))["outcome"] == "planned"
    assert provider.requests == []


def test_on_a_budget_a_provider_that_is_down_fails_the_step_and_not_the_batch(
    batch_aws: BatchAws, provider: ScriptedProvider
) -> None:
    batch_aws.environment.setenv("UPSTREAM_MAX_ATTEMPTS", "1")
    provider.scripts = [whole(500, {}), whole(200, {"data": [PRICED]})]
    batch = batch_aws.add_batch(row("a", body=BODY | {"max_tokens": 5}), client=BUDGET)
    with pytest.raises(StepFailed):
        plan(batch)
    assert batch_aws.store.batch(OWNER, batch.id).status == VALIDATING  # type: ignore[union-attr]
    assert plan(batch)["outcome"] == "planned"


def test_a_failed_step_does_not_quote_rows(
    batch_aws: BatchAws, capsys: pytest.CaptureFixture[str]
) -> None:
    batch = batch_aws.add_batch(row("a"))
    batch_aws.environment.setenv("BATCH_ROWS_PER_CHUNK", "canary-prompt")
    with pytest.raises(StepFailed) as failure:
        plan(batch)
    assert failure.value.__cause__ is None
    assert failure.value.__suppress_context__
    printed = capsys.readouterr().out
    assert "ValueError" in printed
    assert "canary" not in f"{printed}{failure.value}"


def test_one_line_is_logged_and_it_quotes_no_row(
    batch_aws: BatchAws, published_events: EventRecorder, capsys: pytest.CaptureFixture[str]
) -> None:
    plan(batch_aws.add_batch(row("a") + b'{"oops": "canary-prompt"}\n'))
    (line,) = capsys.readouterr().out.splitlines()
    logged = json.loads(line)
    assert (logged["rows"], logged["errors"]) == (2, 1)
    assert "canary" not in line
