"""The batch worker while DynamoDB is unavailable at times: no reservation is lost or kept."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from llm_relay.billing.ledger import ledger
from tests.functions.batch.test_worker_budgets import COST, PLENTY, owned, worst
from tests.support.batch_environment import batch_aws
from tests.support.chunk_runs import worker_setup
from tests.support.dynamodb_proxy import UNAVAILABLE
from tests.support.ledger_accounts import client, is_sound

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.chunk_runs import WorkerSetup
    from tests.support.ledger_accounts import Accounts

__all__ = ["batch_aws", "worker_setup"]

_TRIES = 3  # of one call, by the SDK


def away(operation: str, after: int = 0) -> Callable[[str], str | None]:
    """A fault that one call of that kind meets, however often it is tried."""
    met = iter([None] * after + [UNAVAILABLE] * _TRIES)
    return lambda passing: next(met, None) if passing == operation else None


def test_uncharged_costs_pause_the_work_and_are_charged_at_the_end(
    accounts: Accounts, worker_setup: WorkerSetup
) -> None:
    work = owned(worker_setup, *["200"] * 8, budget=4 * worst())  # half of the rows take all of it
    accounts.dynamodb_proxy.fault = away("TransactWriteItems")
    first = work.run()
    assert (first["left"], first["wait_seconds"], first["silent_invocations"]) == (4, 5, 0)
    account = accounts.read()
    assert account.spent == 4 * COST
    assert not account.reservations
    assert is_sound(account)
    assert work.run()["left"] == 0
    assert work.now().completed == 8


def test_a_reservation_that_cannot_be_recorded_is_released(
    accounts: Accounts, worker_setup: WorkerSetup
) -> None:
    work = owned(worker_setup, "200")
    accounts.dynamodb_proxy.fault = away("UpdateItem", after=2)  # the lease and the money itself
    answer = work.run()
    assert (answer["left"], answer["wait_seconds"]) == (1, 15)
    assert not worker_setup.provider.asked
    account = accounts.read()
    assert not account.reservations
    assert is_sound(account)
    assert work.run()["left"] == 0
    assert accounts.read().spent == COST


def test_unreadable_reservations_of_others_are_waited_for(
    accounts: Accounts, worker_setup: WorkerSetup
) -> None:
    budget = 2 * worst()
    assert ledger().reserve(client(budget), budget, time.time(), 600)
    work = owned(worker_setup, "200", budget=budget)
    accounts.dynamodb_proxy.fault = away("GetItem", after=1)  # the batch
    answer = work.run()
    assert (answer["left"], answer["wait_seconds"]) == (1, 15)
    assert not work.results()
    assert work.run()["wait_seconds"] == 30


def test_a_sufficient_budget_is_spent_while_a_charge_is_pending(
    accounts: Accounts, worker_setup: WorkerSetup
) -> None:
    work = owned(worker_setup, *["200"] * 300, budget=PLENTY)
    accounts.dynamodb_proxy.fault = away("TransactWriteItems")
    assert work.run()["left"] == 0
    account = accounts.read()
    assert account.spent == 300 * COST
    assert not account.reservations
