"""The batch worker from one invocation to the next: how long it waits, and when it gives up."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from llm_relay.api import relay
from llm_relay.batch.model.input_file import Chunk
from llm_relay.core.deadline import Deadline
from tests.support.batch_environment import batch_aws
from tests.support.chunk_runs import worker_setup
from tests.support.failing_provider import rows
from tests.support.scripted_provider import wait_until

if TYPE_CHECKING:
    from tests.support.chunk_runs import WorkerSetup

__all__ = ["batch_aws", "worker_setup"]


def test_waits_grow_during_an_outage_of_interrupted_calls(
    worker_setup: WorkerSetup,
) -> None:
    work = worker_setup.rows_with(*["reset"] * 120)
    answers = [work.run() for _ in range(3)]
    assert [answer["wait_seconds"] for answer in answers] == [15, 30, 60]
    assert [answer["silent_invocations"] for answer in answers] == [1, 2, 3]
    assert answers[0]["left"] - answers[2]["left"] == 40  # one at a time, after the first


def test_after_silence_rows_are_sent_one_at_a_time_until_one_is_answered(
    worker_setup: WorkerSetup,
) -> None:
    work = worker_setup.rows_with(*["reset"] * 6)
    work.run(silent_invocations=1)
    assert worker_setup.provider.max_in_progress == 1
    work = worker_setup.rows_with(*["slow:0.1"] * 40)
    assert work.run(silent_invocations=1)["left"] == 0
    assert worker_setup.provider.max_in_progress > 1


def test_the_next_chunk_of_a_batch_starts_at_the_concurrency_that_was_found(
    worker_setup: WorkerSetup,
) -> None:
    first, second = rows(["slow:0.5"] * 60), rows(["held"] * 16)
    work = worker_setup.chunk_run(first + second, 60)
    work.chunk = replace(work.chunk, end=len(first))
    work.run()
    following = Chunk(number=8, start=len(first), end=len(first + second), first_row=60, rows=16)

    def look() -> None:  # a new pace stays at four while nothing is answered
        wait_until(lambda: worker_setup.provider.in_progress > 4)
        worker_setup.provider.may_answer.set()

    assert replace(work, chunk=following, answers=[]).run_with(look)["left"] == 0


def test_the_next_batch_starts_with_few_concurrent_rows(worker_setup: WorkerSetup) -> None:
    worker_setup.rows_with(*["slow:0.1"] * 60).run()
    worker_setup.provider.max_in_progress = 0
    worker_setup.rows_with(*["slow:0.5"] * 16).run()
    assert worker_setup.provider.max_in_progress <= 12


def test_the_worker_waits_after_calls_that_use_all_its_time_without_an_answer(
    worker_setup: WorkerSetup,
) -> None:
    worker_setup.world.environment.setenv("UPSTREAM_FIRST_BYTE_SECONDS", "2")
    relay.provider_router.cache_clear()
    relay.provider_router().named(None).model_entry("", Deadline.after(60))
    work = worker_setup.rows_with(*["slow:60"] * 12)
    answer = work.run(silent_invocations=2, seconds=18)
    assert 8 <= answer["left"] < 12
    assert (answer["wait_seconds"], answer["silent_invocations"]) == (60, 3)


def test_rows_are_not_given_up_in_an_invocation_that_was_answered(
    worker_setup: WorkerSetup,
) -> None:
    work = worker_setup.rows_with(*["200"] * 50, "429:60", *["200"] * 100)
    answer = work.run(silent_invocations=20)
    assert answer["left"] > 0
    assert (answer["wait_seconds"], answer["silent_invocations"]) == (60, 0)
    assert all(result.is_answer for result in work.results())


@pytest.mark.parametrize("seconds", ["90000", "1e300"])
def test_retry_after_never_delays_past_the_end_of_the_batch(
    worker_setup: WorkerSetup, seconds: str
) -> None:
    work = worker_setup.rows_with(f"429:{seconds}", expires_at=int(time.time()) + 3600)
    answer = work.run()
    assert answer["left"] == 1
    assert 3000 < answer["wait_seconds"] <= 3600


def test_invocations_are_counted_and_delayed_once_there_are_many(worker_setup: WorkerSetup) -> None:
    work = worker_setup.rows_with("429:10")
    assert [work.run(silent_invocations=0)["invocations"] for _ in range(2)] == [1, 2]
    assert work.run(silent_invocations=0, invocations=499)["wait_seconds"] == 10
    assert work.run(silent_invocations=0)["wait_seconds"] == 45
    lease = work.lease()
    assert work.run()["wait_seconds"] == 45
    assert lease.attempt == 5


def test_a_finished_chunk_has_no_wait_after_many_invocations(worker_setup: WorkerSetup) -> None:
    work = worker_setup.rows_with("200")
    answer = work.run(invocations=2000)
    assert (answer["left"], answer["wait_seconds"]) == (0, 0)
