"""Batch workers that are killed, and what the next one does; and how much memory they need."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from llm_relay.aws.dynamodb import dynamodb
from llm_relay.billing.ledger import ledger
from tests.support.batch_environment import batch_aws
from tests.support.chunk_runs import worker_setup
from tests.support.dynamodb_proxy import DynamoDbProxy
from tests.support.failing_provider import line
from tests.support.ledger_accounts import Accounts, client, is_sound, make_table
from tests.support.scripted_provider import wait_until

if TYPE_CHECKING:
    import pytest

    from tests.support.chunk_runs import ChunkRun, WorkerSetup

__all__ = ["batch_aws", "worker_setup"]

_COST = 25_000
_INVOCATION = """
import json, sys, time, tracemalloc
from functions.batch_worker.handler import handler

class Context:
    def get_remaining_time_in_millis(self):
        return int((ends - time.monotonic()) * 1000)

ends = time.monotonic() + 120
event, measures = json.loads(sys.argv[1]), json.loads(sys.argv[2])
if measures:
    tracemalloc.start()
answer = handler(event, Context())
peak = tracemalloc.get_traced_memory()[1] if measures else 0
print(json.dumps({"left": answer["left"], "peak_megabytes": peak / 2**20}))
"""


def started(work: ChunkRun, *, measures: bool = False) -> subprocess.Popen[str]:
    """A process that runs the function as Lambda does."""
    asked = [json.dumps(work.event()), json.dumps(measures)]
    return subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", _INVOCATION, *asked],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(["", *filter(None, sys.path)])},
        stdout=subprocess.PIPE,
        text=True,
    )


def killed_after(work: ChunkRun, results: int) -> None:
    """Have a worker killed once it has written so many results; its lease ends."""
    with started(work) as process:
        wait_until(lambda: len(work.results()) >= results, 100)
        process.send_signal(signal.SIGKILL)
        process.wait()
    wait_until(work.provider.has_no_callers)  # it has read all that was sent to it
    end_lease(work)


def end_lease(work: ChunkRun) -> None:
    """Let the time of a dead worker's lease be over."""
    dynamodb().update_item(
        TableName=work.world.table,
        Key={"pk": {"S": f"chunks#{work.batch.id}"}, "sk": {"S": "000007"}},
        UpdateExpression="SET #until = :zero",
        ExpressionAttributeNames={"#until": "until"},
        ExpressionAttributeValues={":zero": {"N": "0"}},
    )


def test_after_a_kill_only_unwritten_rows_are_sent_again(worker_setup: WorkerSetup) -> None:
    work = worker_setup.rows_with(*["slow:0.4"] * 400)
    killed_after(work, 60)
    written = len(work.results())
    asked = sum(worker_setup.provider.asked.values())
    assert work.run()["left"] == 0
    assert len(work.lines()) == 400
    # Those in progress and those that were answered within the last half second, on a busy machine.
    assert sum(worker_setup.provider.asked.values()) == 400 + asked - written
    assert asked - written < 32 + 4 * 0.5 * 32 / 0.4
    # Killed between its lease and the batch, a worker leaves a count short that the end corrects.
    assert 400 - written <= work.now().completed <= 400


def test_after_a_kill_the_budget_is_charged_for_each_row_once(worker_setup: WorkerSetup) -> None:
    table = make_table(dynamodb())
    worker_setup.world.environment.setenv("CLIENTS_TABLE", table)
    ledger.cache_clear()
    work = worker_setup.rows_with(*["slow:0.2"] * 300, client=client(10**12))
    killed_after(work, 40)
    assert work.run()["left"] == 0
    account = Accounts(DynamoDbProxy(worker_setup.world.endpoint_url), table, dynamodb()).read()
    ledger.cache_clear()
    assert account.spent == 300 * _COST
    assert not account.reservations
    assert is_sound(account)


def test_after_three_kills_in_a_row_rows_are_sent_one_at_a_time(worker_setup: WorkerSetup) -> None:
    work = worker_setup.rows_with(*["slow:0.02"] * 20)
    _kill(work, times=3)
    assert work.run()["left"] == 0
    assert worker_setup.provider.max_in_progress == 1
    assert work.now().completed == 20
    assert work.lease().crash_count == 0


def test_after_two_kills_rows_are_still_sent_concurrently(worker_setup: WorkerSetup) -> None:
    work = worker_setup.rows_with(*["slow:0.2"] * 20)
    _kill(work, times=2)
    assert work.run()["left"] == 0
    assert worker_setup.provider.max_in_progress > 1


def test_after_six_kills_in_a_row_the_chunk_is_ended(
    worker_setup: WorkerSetup, capsys: pytest.CaptureFixture[str]
) -> None:
    work = worker_setup.rows_with("200", "200")
    _kill(work, times=6)
    assert work.run()["left"] == 0
    assert not worker_setup.provider.asked
    assert work.chunk_item()["until"]["N"] == "0"
    assert '"stopped":"workers_crashed"' in capsys.readouterr().out


def _kill(work: ChunkRun, times: int) -> None:
    """Leave the chunk as workers do that are killed before they have asked anything."""
    for _ in range(times):
        work.lease()
        end_lease(work)


def test_memory_is_less_than_the_file(worker_setup: WorkerSetup) -> None:
    asked = [{"role": "user", "content": "x" * 300_000}]
    work = worker_setup.chunk_run(b"".join(line(row, messages=asked) for row in range(300)))
    with started(work, measures=True) as process:
        answer = json.loads(process.communicate()[0].splitlines()[-1])
    assert answer["left"] == 0
    assert answer["peak_megabytes"] < 80
