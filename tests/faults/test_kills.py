"""Functions killed at every moment of their work: costs are known, and nothing is lost."""

from __future__ import annotations

import os
import random
import sys
from typing import TYPE_CHECKING, Any

import pytest

from llm_relay.aws.dynamodb import dynamodb
from llm_relay.billing.ledger import ledger
from tests.faults.aws.calls import MESSAGES, Call, asked
from tests.faults.aws.environment import (
    SECRETS,
    SEED,
    Callers,
    accounts,
    aws,
    aws_proxy,
    callers,
    environment,
    secret,
)
from tests.faults.aws.faults import RESET_BEFORE_EXECUTION
from tests.faults.kills import Invocations
from tests.functions.batch.test_worker_kills import end_lease
from tests.functions.conftest import provider
from tests.functions.test_batch_assemble import (
    EXECUTION,
    assemble,
    ids_of,
    input_of,
    now_of,
    planned,
    put,
    result,
)
from tests.support.batch_environment import batch_aws
from tests.support.chunk_runs import worker_setup
from tests.support.dynamodb_proxy import DynamoDbProxy
from tests.support.event_recorder import published_events
from tests.support.failing_provider import line
from tests.support.job_environment import job_world
from tests.support.ledger_accounts import Accounts, client, is_sound, make_table
from tests.support.payloads import COMPLETION, QUESTION
from tests.support.priced_provider import question
from tests.support.scripted_provider import whole

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from llm_relay.batch.model.record import Batch
    from tests.faults.aws.faults import FaultyAws
    from tests.support.batch_environment import BatchAws
    from tests.support.chunk_runs import ChunkRun, WorkerSetup
    from tests.support.event_recorder import EventRecorder
    from tests.support.job_environment import JobWorld
    from tests.support.scripted_provider import ScriptedProvider

__all__ = [
    "accounts",
    "aws",
    "batch_aws",
    "callers",
    "aws_proxy",
    "environment",
    "job_world",
    "published_events",
    "worker_setup",
    "provider",
    "secret",
]

ROWS, ROW_NANOS = 5, 25_000
KILLS = int(os.environ.get("RELAY_KILLS", "4"))  # in each test; there are 10 to 60 moments


@pytest.fixture
def invocations(
    aws_proxy: FaultyAws, environment: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Invocations]:
    """Invocations whose moments are the requests at the proxy."""
    environment.setenv("PYTHONPATH", os.pathsep.join(["", *filter(None, sys.path)]))
    made = Invocations(tmp_path / "log")
    aws_proxy.fault = lambda operation: (
        RESET_BEFORE_EXECUTION if made.come(f"before {operation}") else None
    )
    aws_proxy.passed = lambda operation: made.come(f"after {operation}")
    yield made
    assert made.kills > 0


def some(moments: list[str]) -> list[int]:
    """Return the numbers of as many moments as there is time for."""
    chance = random.Random(f"{SEED} {moments}")  # noqa: S311 - the same each time
    return sorted(chance.sample(range(len(moments)), min(KILLS, len(moments))))


@pytest.mark.parametrize("streamed", [False, True])
def test_a_call_killed_at_any_moment_is_charged_or_still_reserved(
    callers: Callers, invocations: Invocations, streamed: bool
) -> None:
    def call(number: int) -> Call:
        body = question("answers", 1_000 + number, stream=streamed, messages=MESSAGES)
        return Call(body, f"key-{number}")

    assert invocations.invoke("chat_completions", call(0).event())["statusCode"] == 200
    for moment in some(invocations.moments):
        spent = callers.accounts.read("month").spent
        killed = call(moment + 1)
        invocations.invoke("chat_completions", killed.event(), moment)
        account = callers.accounts.read("month")
        assert is_sound(account)
        held = sum(hold.nanos for hold in account.reservations.values())
        if killed.name in asked(callers):
            assert account.spent - spent == killed.nanos or held >= killed.nanos
        assert killed.ask().status in {200, 409}
        assert asked(callers).count(killed.name) <= 1
        let_time_pass(callers)
        assert killed.ask().status == 200
    account = callers.accounts.read("month")
    assert is_sound(account)
    assert sum(hold.nanos for hold in account.reservations.values()) == 0
    assert [word for word in SECRETS if word in invocations.printed()] == []


def let_time_pass(callers: Callers) -> None:
    """Let the time be over in which a killed call might have lived."""
    behind, answers = callers.accounts.dynamodb, os.environ["ANSWERS_TABLE"]
    for item in behind.scan(TableName=answers)["Items"]:
        if item["status"]["S"] == "INPROGRESS":
            behind.delete_item(TableName=answers, Key={"id": item["id"]})
    for item in behind.scan(TableName=callers.accounts.table)["Items"]:
        for value in (value for name, value in item.items() if name.startswith("h_")):
            value["M"]["until"] = {"N": "1"}
        behind.put_item(TableName=callers.accounts.table, Item=item)


def test_a_job_killed_at_any_moment_is_completed_on_redelivery(
    job_world: JobWorld, invocations: Invocations
) -> None:
    job_world.provider.scripts = [whole(200, COMPLETION)]
    body = QUESTION | {"messages": MESSAGES}

    def send(number: int) -> dict[str, Any]:
        job = {"id": f"job-{number}", "url": "/v1/chat/completions", "body": body}
        job_world.send(job)
        return {"Records": job_world.receive()}

    assert invocations.invoke("job_worker", send(0)) == {"batchItemFailures": []}
    job_world.take_events()
    for moment in some(invocations.moments):
        event, before = send(moment + 1), len(job_world.provider.requests)
        invocations.invoke("job_worker", event, moment)
        first = len(job_world.provider.requests) - before
        was_kept = "after s3.PutObject" in invocations.moments
        over_all(job_world)
        job_world.hurry(event["Records"])
        assert job_world.deliver(job_world.receive()) == []
        made = len(job_world.provider.requests) - before
        # Who dies with an answer in its hands is the one exception to paying once.
        assert made == (2 if first and not was_kept else 1)
        assert job_world.result(f"job-{moment + 1}")["response"]["status_code"] == 200
        completed = [
            data["id"] for kind, data in job_world.take_events() if kind == "job.completed"
        ]
        assert {*completed} == {f"job-{moment + 1}"}
    assert [word for word in SECRETS if word in invocations.printed()] == []


def over_all(job_world: JobWorld) -> None:
    """Let the leases of dead workers be over."""
    for item in job_world.batch.items():
        if "until" in item:
            item["until"] = {"N": "0"}
            dynamodb().put_item(TableName=job_world.batch.table, Item=item)


def test_a_chunk_whose_worker_is_killed_at_any_moment_has_each_row_once(
    worker_setup: WorkerSetup, invocations: Invocations
) -> None:
    table = make_table(dynamodb())
    worker_setup.world.environment.setenv("CLIENTS_TABLE", table)
    ledger.cache_clear()
    accounts = Accounts(DynamoDbProxy(worker_setup.world.endpoint_url), table, dynamodb())

    def work() -> ChunkRun:
        worker_setup.provider.asked.clear()
        lines = [line(row, messages=[MESSAGES[0] | {"name": f"row-{row}"}]) for row in range(ROWS)]
        return worker_setup.chunk_run(b"".join(lines), client=client(10**12))

    assert invocations.invoke("batch_worker", work().event())["left"] == 0
    for moment in some(invocations.moments):
        chunk, spent = work(), accounts.read().spent
        invocations.invoke("batch_worker", chunk.event(), moment)
        were_kept = "after s3.PutObject" in invocations.moments
        end_lease(chunk)
        assert chunk.run()["left"] == 0
        assert chunk.lines().keys() == set(range(ROWS))
        account = accounts.read()
        assert is_sound(account)
        assert account.spent - spent == ROWS * ROW_NANOS
        assert sum(worker_setup.provider.asked.values()) <= (ROWS if were_kept else 2 * ROWS)
    assert [word for word in SECRETS if word in invocations.printed()] == []


def test_the_last_step_of_a_batch_killed_at_any_moment_ends_it_once(
    batch_aws: BatchAws, invocations: Invocations, published_events: EventRecorder
) -> None:
    def batch() -> Batch:
        made = planned(batch_aws, 5)
        put(batch_aws, made, "0001-000000", result(0), result(1, is_answer=False), result(2))
        put(batch_aws, made, "0001-000000", result(3), result(4))
        return made

    def event(batch: Batch) -> dict[str, Any]:
        return {"owner": batch.owner, "batch": batch.id}

    assert invocations.invoke("batch_assemble", event(batch()))["wait_seconds"] == 0
    for moment in some(invocations.moments):
        killed = batch()
        published_events.take()
        invocations.invoke("batch_assemble", event(killed), moment)
        assert assemble(killed) == 0
        known = now_of(batch_aws, killed)
        assert (known.status, known.completed, known.failed) == ("completed", 4, 1)
        assert sorted(ids_of(batch_aws, killed, "output")) == ["row-0", "row-2", "row-3", "row-4"]
        assert ids_of(batch_aws, killed, "errors") == ["row-1"]
        assert {event["detail-type"] for event in published_events.take()} == {"batch.completed"}


def test_a_plan_killed_at_any_moment_is_made_again(
    batch_aws: BatchAws, invocations: Invocations, provider: ScriptedProvider
) -> None:
    def event() -> dict[str, Any]:
        made = batch_aws.add_batch(input_of(5))
        event = {"owner": made.owner, "batch": made.id}
        return {"execution": f"{EXECUTION}-{made.id}", "input": event}

    assert invocations.invoke("batch_plan", event())["outcome"] == "planned"
    for moment in some(invocations.moments):
        killed = event()
        invocations.invoke("batch_plan", killed, moment)
        assert invocations.invoke("batch_plan", killed)["outcome"] == "planned"
    assert [word for word in SECRETS if word in invocations.printed()] == []
