"""The batch worker: every way in which a row, a chunk and an invocation can end."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from llm_relay.api import relay
from llm_relay.aws.dynamodb import dynamodb
from llm_relay.batch.model import names
from llm_relay.batch.model.leases import Leases, leased_until
from llm_relay.batch.model.record import IN_PROGRESS
from llm_relay.batch.model.results import RowResult, format_part
from llm_relay.core.deadline import Deadline
from tests.functions.conftest import PROVIDER_KEY
from tests.support.batch_environment import batch_aws
from tests.support.chunk_runs import worker_setup
from tests.support.failing_provider import line, rows
from tests.support.scripted_provider import wait_until

if TYPE_CHECKING:
    from tests.functions.conftest import Secret
    from tests.support.chunk_runs import ChunkRun, WorkerSetup

__all__ = ["batch_aws", "worker_setup"]


def test_every_row_is_answered_once_and_counted(worker_setup: WorkerSetup) -> None:
    work = worker_setup.rows_with(*["200"] * 40)
    answer = work.run()
    assert (answer["left"], answer["wait_seconds"], answer["silent_invocations"]) == (0, 0, 0)
    lines = work.lines()
    assert [lines[row]["custom_id"] for row in range(40)] == [f"row-{row}" for row in range(40)]
    assert lines[3] == {
        "id": names.row_request_id(work.batch.id, 3),
        "custom_id": "row-3",
        "response": {
            "status_code": 200,
            "request_id": names.row_request_id(work.batch.id, 3),
            "body": lines[3]["response"]["body"],
        },
        "error": None,
    }
    assert lines[3]["response"]["body"]["choices"][0]["message"]["content"] == "word "
    assert set(worker_setup.provider.asked.values()) == {1}
    batch = work.now()
    assert (batch.completed, batch.failed) == (40, 0)


def test_results_report_the_usage_and_cost_of_each_row(worker_setup: WorkerSetup) -> None:
    work = worker_setup.rows_with("200")
    work.run()
    result = work.results()[0]
    assert (result.tokens_in, result.tokens_out, result.cost_nanos) == (3, 4, 25_000)


@pytest.mark.parametrize(
    ("behaviour", "status", "code", "times"),
    [
        ("400", 400, "overloaded", 1),
        ("403", 403, "overloaded", 1),
        ("404", 404, "overloaded", 1),
        ("reset", 502, "upstream_error", 1),
        ("cut", 502, "upstream_error", 1),
        ("nonsense", 502, "upstream_error", 1),
        ("301", 502, "upstream_error", 1),
    ],
)
def test_final_or_possibly_billed_failures_are_not_retried(
    worker_setup: WorkerSetup, behaviour: str, status: int, code: str, times: int
) -> None:
    work = worker_setup.rows_with("200", behaviour, "200")
    assert work.run()["left"] == 0
    line = work.lines()[1]
    assert line["response"]["status_code"] == status
    assert line["response"]["body"]["error"]["code"] == code
    assert line["error"] is None
    assert worker_setup.provider.asked["row 1"] == times
    assert (work.now().completed, work.now().failed) == (2, 1)


@pytest.mark.parametrize("behaviour", ["408 200", "409 200", "429 200", "500 503 200", "503:1 200"])
def test_temporary_failures_are_retried(worker_setup: WorkerSetup, behaviour: str) -> None:
    work = worker_setup.rows_with("200", behaviour, "200")
    assert work.run()["left"] == 0
    assert work.lines()[1]["response"]["status_code"] == 200
    assert worker_setup.provider.asked["row 1"] == len(behaviour.split())


def test_a_repeatedly_refused_row_becomes_an_error_line(
    worker_setup: WorkerSetup,
) -> None:
    work = worker_setup.rows_with("500", *["slow:0.2"] * 80)
    assert work.run()["left"] == 0
    assert work.lines()[0]["response"]["status_code"] == 500
    assert worker_setup.provider.asked["row 0"] == 5
    assert work.now().completed == 80


def test_a_refused_single_row_is_returned_to_the_state_machine_before_it_fails(
    worker_setup: WorkerSetup,
) -> None:
    work = worker_setup.rows_with("500")
    answer = work.run()
    assert (answer["left"], answer["wait_seconds"], answer["silent_invocations"]) == (1, 15, 1)
    assert not work.results()
    assert work.run(silent_invocations=3)["left"] == 0
    assert work.lines()[0]["response"]["status_code"] == 500


def test_an_internal_error_fails_only_its_own_row_and_is_logged(
    worker_setup: WorkerSetup, capsys: pytest.CaptureFixture[str]
) -> None:
    body = b'{"user": "200", "messages": [{"role": "user", "content": "canary"}]}'
    bad = (
        b'{"custom_id": "x", "method": "POST", "url": "/v1/chat/completions", "body": %b}\n' % body
    )
    work = worker_setup.chunk_run(line(0) + bad + line(2))
    assert work.run()["left"] == 0
    lines = work.lines()
    assert [lines[row]["response"]["status_code"] for row in range(3)] == [200, 500, 200]
    assert lines[1]["response"]["body"]["error"]["code"] == "internal_error"
    assert worker_setup.provider.asked["canary"] == 1
    logged = capsys.readouterr().out
    assert "internal error" in logged
    assert "canary" not in logged


def test_each_invocation_logs_one_line(
    worker_setup: WorkerSetup, capsys: pytest.CaptureFixture[str]
) -> None:
    worker_setup.rows_with(*["200"] * 10, "400").run()
    logged = [json.loads(text) for text in capsys.readouterr().out.splitlines()]
    assert len(logged) == 1
    assert (logged[0]["completed"], logged[0]["failed"], logged[0]["left"]) == (10, 1, 0)
    assert logged[0]["RowsCompleted"] == [10]
    assert logged[0]["CostUsd"] == [pytest.approx(0.00025)]


def test_multi_line_answers_are_written_on_one_line(worker_setup: WorkerSetup) -> None:
    work = worker_setup.rows_with("spread")
    work.run()
    assert work.results()[0].line.count(b"\n") == 1
    assert work.lines()[0]["response"]["body"]["usage"]["total_tokens"] == 7


def test_a_short_retry_after_is_waited_out_in_the_worker(worker_setup: WorkerSetup) -> None:
    work = worker_setup.rows_with("429:1 200", "200")
    started = time.monotonic()
    assert work.run()["left"] == 0
    assert time.monotonic() - started >= 1
    assert len(work.lines()) == 2


def test_a_long_retry_after_is_returned_to_the_state_machine(worker_setup: WorkerSetup) -> None:
    work = worker_setup.rows_with(*["200"] * 8, "429:3600 200", *["200"] * 4)
    answer = work.run()
    assert answer["wait_seconds"] == 3600
    assert 1 <= answer["left"] <= 5
    assert answer["silent_invocations"] == 0
    assert 8 not in work.lines()
    assert work.run()["left"] == 0
    assert len(work.lines()) == 13


def test_a_provider_that_cannot_be_reached_costs_no_row_an_attempt(
    worker_setup: WorkerSetup,
) -> None:
    work = worker_setup.rows_with(*["200"] * 30)
    worker_setup.world.environment.setenv("UPSTREAM_BASE_URL", "http://127.0.0.1:1/v1")
    relay.provider_router.cache_clear()
    first = work.run()
    assert (first["left"], first["wait_seconds"], first["silent_invocations"]) == (30, 15, 1)
    assert not work.results()
    assert work.run()["wait_seconds"] == 30
    worker_setup.world.environment.setenv("UPSTREAM_BASE_URL", worker_setup.provider.base_url)
    relay.provider_router.cache_clear()
    assert work.run()["left"] == 0
    assert len(work.lines()) == 30


def test_a_provider_that_fails_for_everyone_gets_time_to_recover(worker_setup: WorkerSetup) -> None:
    work = worker_setup.rows_with(*["503"] * 40)
    answer = work.run()
    assert (answer["left"], answer["wait_seconds"], answer["silent_invocations"]) == (40, 15, 1)
    assert not work.results()


def test_connections_that_break_for_everyone_end_few_rows(worker_setup: WorkerSetup) -> None:
    work = worker_setup.rows_with(*["reset"] * 200)
    answer = work.run()
    assert answer["wait_seconds"] == 15
    assert answer["left"] >= 140


def test_waits_grow_while_no_row_completes(worker_setup: WorkerSetup) -> None:
    work = worker_setup.rows_with(*["402"] * 25)
    assert [
        work.run(silent_invocations=silent_invocations)["wait_seconds"]
        for silent_invocations in (1, 5, 12)
    ] == [30, 480, 900]


def test_all_rows_eventually_fail_with_the_last_refusal(worker_setup: WorkerSetup) -> None:
    work = worker_setup.rows_with(*["402"] * 300)
    assert work.run(silent_invocations=20)["left"] == 0
    assert [line["response"]["status_code"] for line in work.lines().values()] == [402] * 300
    assert sum(worker_setup.provider.asked.values()) < 300


def test_rows_wait_for_a_missing_provider_key(worker_setup: WorkerSetup, secret: Secret) -> None:
    secret.put("{}")
    work = worker_setup.rows_with("200", "200")
    assert work.run()["left"] == 2
    secret.put(PROVIDER_KEY)
    relay.provider_router.cache_clear()
    assert work.run()["left"] == 0


def test_rows_that_may_not_be_run_become_error_lines_without_a_call(
    worker_setup: WorkerSetup,
) -> None:
    content = line(0) + b"not a row\n" + line(2, n=2) + b"\n" + line(3)
    work = worker_setup.chunk_run(content, count=4)
    assert work.run()["left"] == 0
    lines = work.lines()
    assert sorted(lines) == [0, 1, 2, 3]
    assert lines[1]["response"]["status_code"] == 400
    assert lines[1]["custom_id"] is None


def test_only_rows_without_a_result_are_sent(worker_setup: WorkerSetup) -> None:
    work = worker_setup.rows_with(*["200"] * 6)
    kept = [RowResult(row=row, line=line(row), is_answer=row != 4) for row in (1, 4)]
    work.world.bucket.put(names.part_key(work.batch.id, 7, 1, 0), format_part(kept))
    Leases(work.world.table).release(work.lease())
    assert work.run()["left"] == 0
    assert sorted(worker_setup.provider.asked) == ["row 0", "row 2", "row 3", "row 5"]
    assert (work.now().completed, work.now().failed) == (5, 1)


def test_of_two_workers_on_one_chunk_one_waits(worker_setup: WorkerSetup) -> None:
    work = worker_setup.rows_with("200")
    lease = work.lease()
    answer = work.run()
    assert answer["left"] == 1
    assert 1 <= answer["wait_seconds"] <= 15
    assert answer["silent_invocations"] == 0
    assert not worker_setup.provider.asked
    Leases(work.world.table).release(lease)
    assert work.run()["left"] == 0


def test_a_lease_is_released_at_the_end(worker_setup: WorkerSetup) -> None:
    work = worker_setup.rows_with("200")
    work.run()
    assert leased_until(work.world.table, work.batch.id, time.time()) == 0
    lease = work.lease()
    assert leased_until(work.world.table, work.batch.id, time.time()) > time.time()
    assert lease.attempt == 2
    assert (lease.completed, lease.failed) == (1, 0)


def test_nothing_is_left_to_do_for_a_batch_that_is_over(worker_setup: WorkerSetup) -> None:
    work = worker_setup.rows_with("200", status="cancelling")
    assert work.run()["left"] == 0
    expired = worker_setup.rows_with("200", expires_at=int(time.time()) - 1)
    assert expired.run()["left"] == 0
    assert not worker_setup.provider.asked


@pytest.mark.parametrize("is_deleted", [False, True])
def test_a_chunk_whose_file_was_replaced_ends_without_a_call(
    worker_setup: WorkerSetup, capsys: pytest.CaptureFixture[str], is_deleted: bool
) -> None:
    work = worker_setup.rows_with("200", "200")
    _pin(work)
    if is_deleted:
        work.world.bucket.delete(work.batch.input_key)
    else:
        _replace(work)
    answer = work.run()
    assert (answer["left"], answer["wait_seconds"]) == (0, 0)
    assert not worker_setup.provider.asked
    assert not work.results()
    assert '"stopped":"input_changed"' in capsys.readouterr().out


@pytest.mark.parametrize(("first", "silent_invocations"), [("slow:1", 0), ("late:1", 20)])
def test_a_file_that_is_replaced_meanwhile_costs_the_rows_that_were_not_read(
    worker_setup: WorkerSetup, first: str, silent_invocations: int
) -> None:
    # More than a block, and more in the first block than is read at once.
    work = worker_setup.chunk_run(rows([first] * 4 + ["200"] * 596, padding="x" * 10_000))
    _pin(work)
    thief = threading.Thread(target=_replace_once_asked, args=(work,))
    thief.start()
    answer = work.run(silent_invocations=silent_invocations)
    thief.join()
    assert (answer["left"], answer["wait_seconds"]) == (0, 0)
    assert 1 <= len(worker_setup.provider.asked) <= len(work.lines()) < 600
    assert all(asked.startswith("row ") for asked in worker_setup.provider.asked)


def test_no_call_is_interrupted_by_the_end_of_the_function(worker_setup: WorkerSetup) -> None:
    worker_setup.world.environment.setenv("UPSTREAM_FIRST_BYTE_SECONDS", "8")
    relay.provider_router.cache_clear()
    relay.provider_router().named(None).model_entry("", Deadline.after(60))
    work = worker_setup.rows_with(*["slow:0.5"] * 2000)
    started = time.monotonic()
    answer = work.run(seconds=26)
    assert time.monotonic() - started < 26
    assert answer["left"] > 0
    assert answer["wait_seconds"] == 0
    assert sum(worker_setup.provider.asked.values()) == len(work.lines()) == 2000 - answer["left"]
    assert {line["response"]["status_code"] for line in work.lines().values()} == {200}


def test_a_cancelled_batch_gets_no_new_rows_and_keeps_those_in_progress(
    worker_setup: WorkerSetup,
) -> None:
    work = worker_setup.rows_with(*["200"] * 40, *["held"] * 2000)

    def cancel() -> None:
        wait_until(lambda: "row 40" in worker_setup.provider.asked)
        _change(work, status="cancelling")
        for _ in range(2):  # of which the second follows a whole look at the batch
            _wait_for_renewal(work)
        worker_setup.provider.may_answer.set()

    assert work.run_with(cancel)["left"] == 0
    lines = work.lines()
    assert 40 < len(lines) <= 40 + 32
    assert len(lines) == sum(worker_setup.provider.asked.values()) == work.now().completed


def test_a_batch_that_expires_gets_no_new_rows(worker_setup: WorkerSetup) -> None:
    work = worker_setup.rows_with(*["slow:0.5"] * 2000, expires_at=int(time.time()) + 2)
    assert work.run()["left"] == 0
    assert len(work.lines()) == sum(worker_setup.provider.asked.values()) < 1000


def test_nothing_is_written_or_reported_once_the_lease_is_lost(worker_setup: WorkerSetup) -> None:
    work = worker_setup.rows_with(*["slow:1"] * 2000)
    answer = work.run_with(lambda: _steal_once_asked(work))
    assert answer["wait_seconds"] == 15
    lines = work.lines()
    assert len(lines) == 2000 - answer["left"]
    assert len(lines) < sum(worker_setup.provider.asked.values())  # those in progress were dropped
    item = work.chunk_item()
    assert item["holder"]["S"] == "thief"
    assert item["until"]["N"] == "9999999999"


def test_progress_is_reported_while_rows_are_in_progress(worker_setup: WorkerSetup) -> None:
    work = worker_setup.rows_with(*["200"] * 20, *["held"] * 2)

    def look() -> None:
        wait_until(lambda: work.now().completed == 20)
        assert sum(worker_setup.provider.asked.values()) == 22
        worker_setup.provider.may_answer.set()

    work.run_with(look)
    assert work.now().completed == 22


def _change(work: ChunkRun, **values: Any) -> None:
    batch, store = work.batch, work.world.store
    assert store.update_batch(batch.owner, batch.id, [IN_PROGRESS], **values)[0]


def _pin(work: ChunkRun) -> None:
    """Note which file was checked, as planning the batch does."""
    _change(work, input_etag=work.world.bucket.head(work.batch.input_key)["ETag"])


def _replace(work: ChunkRun) -> None:
    """Put another file, just as long, in the place of the batch's own."""
    bucket, key = work.world.bucket, work.batch.input_key
    bucket.put(key, bucket.get(key).replace(b'"row ', b'"new '))


def _replace_once_asked(work: ChunkRun) -> None:
    wait_until(lambda: bool(work.provider.asked))
    _replace(work)


def _wait_for_renewal(work: ChunkRun) -> None:
    before = work.chunk_item()["until"]
    wait_until(lambda: work.chunk_item()["until"] != before)


def _steal_once_asked(work: ChunkRun) -> None:
    wait_until(lambda: bool(work.provider.asked))
    _steal(work)


def _steal(work: ChunkRun) -> None:
    dynamodb().update_item(
        TableName=work.world.table,
        Key={"pk": {"S": f"chunks#{work.batch.id}"}, "sk": {"S": "000007"}},
        UpdateExpression="SET #until = :until, holder = :thief",
        ExpressionAttributeNames={"#until": "until"},
        ExpressionAttributeValues={":until": {"N": "9999999999"}, ":thief": {"S": "thief"}},
    )
