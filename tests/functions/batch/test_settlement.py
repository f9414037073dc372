"""Settlement of reservations that killed workers left."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from functions.batch_assemble.handler import handler
from llm_relay.aws.dynamodb import dynamodb
from llm_relay.batch.model.execution import StepFailed
from llm_relay.batch.model.input_file import Chunk, format_manifest
from llm_relay.batch.model.leases import Lease, Leases, RowsReservation
from llm_relay.batch.model.names import manifest_key, part_key
from llm_relay.batch.model.record import CANCELLING, IN_PROGRESS, Batch
from llm_relay.batch.model.results import RowResult, format_part
from llm_relay.batch.worker.recovery import settle_remaining
from llm_relay.billing.ledger import ledger
from llm_relay.core.deadline import Deadline
from tests.functions.conftest import Context
from tests.support.dynamodb_proxy import DynamoDbProxy
from tests.support.ledger_accounts import Accounts, client, is_sound, make_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.batch_environment import BatchAws
    from tests.support.event_recorder import EventRecorder

COST, HELD = 25, 1000  # nanodollars of a row, and of what was reserved for a chunk
ROWS = 3  # of each chunk
CONTENT = (ROWS * (b"{}".ljust(32) + b"\n") + b"\n") * 3  # a hundred bytes of each chunk
CHUNKS = [
    Chunk(number=at, start=100 * at, end=100 * at + 100, first_row=ROWS * at, rows=ROWS)
    for at in range(3)
]


@pytest.fixture
def accounts(batch_aws: BatchAws) -> Iterator[Accounts]:
    table = make_table(dynamodb())
    batch_aws.environment.setenv("CLIENTS_TABLE", table)
    ledger.cache_clear()
    yield Accounts(DynamoDbProxy(batch_aws.endpoint_url), table, dynamodb())
    ledger.cache_clear()


def left_by_killed(world: BatchAws, status: str, *written: int) -> Batch:
    """A batch whose every chunk had a worker that was killed after so many rows were written."""
    batch = world.add_batch(
        CONTENT, client=client(10**6), status=status, total=ROWS * len(CHUNKS), expires_at=1
    )
    world.bucket.put(manifest_key(batch.id), format_manifest(CHUNKS))
    for chunk, rows in zip(CHUNKS, written, strict=False):
        lease = taken(world, batch, chunk)
        hold = ledger().reserve(batch.client, HELD, time.time(), 60)
        assert hold
        last = chunk.first_row + ROWS - 1
        kept = RowsReservation(
            reservation=hold, attempt=1, first_row=chunk.first_row, last_row=last, model="m-1"
        )
        assert Leases(world.table).add_reservation(lease, kept)
        results = [answer(chunk.first_row + at) for at in range(rows)]
        world.bucket.put(part_key(batch.id, chunk.number, 1, 0), format_part(results))
        Leases(world.table).release(lease)
    return batch


def taken(world: BatchAws, batch: Batch, chunk: Chunk) -> Lease:
    lease = Leases(world.table).acquire(batch.id, chunk.number)
    assert isinstance(lease, Lease)
    return lease


def answer(row: int) -> RowResult:
    body = {"model": "m-1"}
    line = {"custom_id": f"row-{row}", "response": {"status_code": 200, "body": body}}
    text = json.dumps(line).encode() + b"\n"
    return RowResult(row=row, line=text, is_answer=True, cost_nanos=COST, tokens_out=7)


def assemble(batch: Batch) -> int:
    result = handler({"owner": batch.owner, "batch": batch.id}, Context(60, time.monotonic()))
    seconds: int = result["wait_seconds"]
    return seconds


def status_of(world: BatchAws, batch: Batch) -> str:
    known = world.store.batch(batch.owner, batch.id)
    assert known
    return known.status


def holds_in(world: BatchAws) -> list[dict[str, Any]]:
    return [item["holds"]["M"] for item in world.items() if item["pk"]["S"].startswith("chunks#")]


@pytest.mark.parametrize(("status", "end"), [(CANCELLING, "cancelled"), (IN_PROGRESS, "expired")])
def test_written_rows_are_charged_once_before_the_batch_ends(
    batch_aws: BatchAws, accounts: Accounts, published_events: EventRecorder, status: str, end: str
) -> None:
    batch = left_by_killed(batch_aws, status, 2, 0, 3)
    assert accounts.read().reserved(time.time()) == 3 * HELD
    assert assemble(batch) == 0
    assert status_of(batch_aws, batch) == end
    account = accounts.read()
    assert (account.spent, account.reservations, is_sound(account)) == (5 * COST, {}, True)
    (used,) = accounts.used()
    assert (used["requests"], used["tokens_out"], used["cost_nanos"]) == (5, 35, 5 * COST)
    assert holds_in(batch_aws) == [{}, {}, {}]
    assert assemble(batch) == 0
    assert accounts.read() == account


def test_a_batch_does_not_end_before_its_costs_are_charged(
    batch_aws: BatchAws, accounts: Accounts, published_events: EventRecorder
) -> None:
    batch = left_by_killed(batch_aws, CANCELLING, 2)
    batch_aws.environment.setenv("CLIENTS_TABLE", "no-such-table")
    with pytest.raises(StepFailed):
        assemble(batch)
    assert status_of(batch_aws, batch) == CANCELLING
    batch_aws.environment.setenv("CLIENTS_TABLE", accounts.table)
    assert assemble(batch) == 0  # at once: the chunk was given back
    assert (accounts.read().spent, status_of(batch_aws, batch)) == (2 * COST, "cancelled")


def test_settlement_beyond_the_time_limit_continues_in_another_invocation(
    batch_aws: BatchAws, accounts: Accounts
) -> None:
    batch = left_by_killed(batch_aws, CANCELLING, 1, 1)
    spent = []
    for _ in range(2):
        assert settle_remaining(batch_aws.bucket, batch, Deadline.after(0)) == 1
        spent.append(accounts.read().spent)
    assert spent == [COST, 2 * COST]
    assert settle_remaining(batch_aws.bucket, batch, Deadline.after(0)) == 0


def test_settlement_waits_for_a_worker_that_holds_the_chunk_again(
    batch_aws: BatchAws, accounts: Accounts
) -> None:
    batch = left_by_killed(batch_aws, CANCELLING, 1)
    taken(batch_aws, batch, CHUNKS[0])
    assert 1 < settle_remaining(batch_aws.bucket, batch, Deadline.after(60)) <= 15
    assert accounts.read().spent == 0
