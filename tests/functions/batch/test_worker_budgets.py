"""The client's budget in a batch: reserved for several rows, settled once, even after a kill."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from llm_relay.aws.dynamodb import dynamodb
from llm_relay.batch.model import names
from llm_relay.batch.model.leases import Leases, RowsReservation
from llm_relay.batch.model.results import RowResult, format_part, success_result
from llm_relay.billing.admission import admit
from llm_relay.billing.ledger import ledger
from llm_relay.core.client import Client
from llm_relay.core.usage import Usage
from llm_relay.providers.completion import Completion
from llm_relay.providers.dialects.dialect import ABLITERATION
from tests.support.batch_environment import batch_aws
from tests.support.chunk_runs import worker_setup
from tests.support.dynamodb_proxy import DynamoDbProxy
from tests.support.failing_provider import completion, line
from tests.support.ledger_accounts import CLIENT, Accounts, client, is_sound, make_table
from tests.support.priced_provider import LISTED, MODEL
from tests.support.scripted_provider import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.chunk_runs import ChunkRun, WorkerSetup

__all__ = ["batch_aws", "worker_setup"]

COST = 25_000  # nanodollars of each answer
PLENTY = 10**12


@pytest.fixture
def accounts(worker_setup: WorkerSetup) -> Iterator[Accounts]:
    table = make_table(dynamodb())
    worker_setup.world.environment.setenv("CLIENTS_TABLE", table)
    ledger.cache_clear()
    yield Accounts(DynamoDbProxy(worker_setup.world.endpoint_url), table, dynamodb())
    ledger.cache_clear()


def worst(behaviour: str = "200") -> int:
    """The maximum cost of a row."""
    body = json.loads(line(0, behaviour))["body"]
    return admit(client(PLENTY), "/chat/completions", body, LISTED, ABLITERATION).max_cost_nanos


def owned(worker_setup: WorkerSetup, *behaviours: str, budget: int = PLENTY) -> ChunkRun:
    return worker_setup.rows_with(*behaviours, client=client(budget))


def test_a_batch_is_charged_exactly_what_its_rows_cost(
    worker_setup: WorkerSetup, accounts: Accounts
) -> None:
    work = owned(worker_setup, *["200"] * 300)
    assert work.run()["left"] == 0
    account = accounts.read()
    assert account.spent == 300 * COST
    assert not account.reservations
    assert is_sound(account)
    assert accounts.used()[0]["requests"] == 300
    assert accounts.used()[0]["tokens_out"] == 1200
    assert work.chunk_item()["holds"]["M"] == {}


def test_a_possibly_billed_row_costs_the_maximum_and_a_refusal_nothing(
    worker_setup: WorkerSetup, accounts: Accounts
) -> None:
    work = owned(worker_setup, "200", "reset", "400", "cut")
    assert work.run()["left"] == 0
    expected = COST + worst("reset") + worst("cut")
    assert accounts.read().spent == expected
    assert sum(result.cost_nanos for result in work.results()) == expected


def test_budget_is_reserved_before_rows_are_sent(
    worker_setup: WorkerSetup, accounts: Accounts
) -> None:
    work = owned(worker_setup, *["held"] * 4)

    def look() -> None:
        wait_until(lambda: bool(worker_setup.provider.asked))
        assert accounts.read().reserved(time.time()) == 4 * worst("held")
        worker_setup.provider.may_answer.set()

    assert work.run_with(look)["left"] == 0


def test_a_budget_for_few_concurrent_rows_runs_them_in_sequence(
    worker_setup: WorkerSetup, accounts: Accounts
) -> None:
    work = owned(worker_setup, *["200"] * 20, budget=3 * worst() + 20 * COST)
    assert work.run()["left"] == 0
    assert work.now().completed == 20
    assert accounts.read().spent == 20 * COST
    assert worker_setup.provider.max_in_progress <= 3


def test_rows_beyond_the_budget_are_refused_without_a_read_for_each(
    worker_setup: WorkerSetup, accounts: Accounts
) -> None:
    looks: list[Any] = []
    dynamodb().meta.events.register(
        "before-call.dynamodb.UpdateItem", lambda params, **_: looks.append(params["body"])
    )
    work = owned(worker_setup, *["200"] * 300, budget=worst() - 1)
    assert work.run()["left"] == 0
    assert work.now().failed == 300
    assert len([look for look in looks if b"ledger#" in look]) < 30


def test_without_time_for_a_row_none_is_refused_as_over_budget(
    worker_setup: WorkerSetup, accounts: Accounts
) -> None:
    work = owned(worker_setup, *["200"] * 300, budget=worst() - 1)
    answer = work.run(seconds=0)
    assert answer["left"] == 300
    assert work.results() == []


def test_rows_beyond_the_budget_become_error_lines(
    worker_setup: WorkerSetup, accounts: Accounts
) -> None:
    work = owned(worker_setup, *["200"] * 10, budget=worst() + 4 * COST)
    assert work.run()["left"] == 0
    statuses = [each["response"]["status_code"] for _, each in sorted(work.lines().items())]
    assert statuses.count(200) == 5
    assert statuses.count(402) == 5
    codes = {
        each["response"]["body"].get("error", {}).get("code") for each in work.lines().values()
    }
    assert codes == {None, "budget_exceeded"}
    assert accounts.read().spent == 5 * COST


def test_reservations_of_other_calls_are_waited_for(
    worker_setup: WorkerSetup, accounts: Accounts
) -> None:
    budget = worst() * 2
    hold = ledger().reserve(client(budget), budget, time.time(), 600)
    assert hold
    work = owned(worker_setup, "200", budget=budget)
    answer = work.run()
    assert (
        answer["left"],
        answer["wait_seconds"],
        answer["silent_invocations"],
    ) == (1, 30, 1)
    assert not worker_setup.provider.asked
    ledger().release(hold)
    assert work.run()["left"] == 0


def test_rows_wait_for_an_unreadable_budget(worker_setup: WorkerSetup, accounts: Accounts) -> None:
    work = owned(worker_setup, "200")
    worker_setup.world.environment.setenv("CLIENTS_TABLE", "no-such-table")
    ledger.cache_clear()
    answer = work.run()
    assert (answer["left"], answer["wait_seconds"]) == (1, 15)
    assert not worker_setup.provider.asked


def test_reservations_of_rows_that_were_not_run_are_released(
    worker_setup: WorkerSetup, accounts: Accounts
) -> None:
    work = owned(worker_setup, "200", "200", "429:60 200", *["200"] * 200)
    answer = work.run()
    assert answer["left"] > 0
    account = accounts.read()
    assert account.spent == len(work.lines()) * COST
    assert not account.reservations
    assert is_sound(account)


def test_a_successor_settles_a_killed_workers_reservations(
    worker_setup: WorkerSetup, accounts: Accounts
) -> None:
    work = owned(worker_setup, *["200"] * 6)
    _killed_with_two_rows_written(work)
    assert work.run()["left"] == 0
    account = accounts.read()
    assert account.spent == 6 * COST
    assert not account.reservations
    assert sum(worker_setup.provider.asked.values()) == 4
    assert accounts.used()[0]["requests"] == 6
    assert work.run()["left"] == 0  # and is settled once
    assert accounts.read().spent == 6 * COST


@pytest.mark.parametrize("is_cancelled", [True, False])
def test_reservations_of_a_killed_worker_are_settled_even_if_the_batch_is_over(
    worker_setup: WorkerSetup, accounts: Accounts, is_cancelled: bool
) -> None:
    over = {"status": "cancelling"} if is_cancelled else {"expires_at": int(time.time()) - 1}
    work = worker_setup.rows_with(*["200"] * 6, client=client(PLENTY), **over)
    _killed_with_two_rows_written(work)
    assert work.run()["left"] == 0
    account = accounts.read()
    assert account.spent == 2 * COST
    assert not account.reservations
    assert not worker_setup.provider.asked
    assert work.chunk_item()["holds"]["M"] == {}
    assert work.chunk_item()["until"]["N"] == "0"


def _killed_with_two_rows_written(work: ChunkRun) -> None:
    leases, lease = Leases(work.world.table), work.lease()
    hold = ledger().reserve(work.batch.client, 6 * worst(), time.time(), 60)
    assert hold
    kept = RowsReservation(reservation=hold, attempt=1, first_row=0, last_row=5, model=MODEL)
    assert leases.add_reservation(lease, kept)
    written = [_answered(work, row) for row in (0, 3)]
    work.world.bucket.put(names.part_key(work.batch.id, 7, 1, 0), format_part(written))
    leases.release(lease)


def _answered(work: ChunkRun, row: int) -> RowResult:
    whole = Completion(
        status=200,
        text=b'{"model":"%b"}' % MODEL.encode(),
        document=completion(),
        usage=Usage(tokens_in=3, tokens_out=4),
        model=MODEL,
        provider_request_id=None,
    )
    return success_result(work.batch.id, row, f"row-{row}", whole, COST)


def test_a_client_s_token_cap_is_set_in_the_request(
    worker_setup: WorkerSetup, accounts: Accounts
) -> None:
    capped = Client(id=CLIENT, key_id="k", budget_nanos=PLENTY, max_output_tokens=5)
    work = worker_setup.chunk_run(line(0, max_tokens=None), client=capped)
    work.run()
    assert b'"max_tokens":5' in worker_setup.provider.last_body
