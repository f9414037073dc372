"""Reservations, charges and releases, with concurrent calls and a failing DynamoDB."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config

from llm_relay.billing.ledger import Ledger
from llm_relay.billing.ledger_account import GRACE_SECONDS, TOMBSTONE_SECONDS, Reservation
from llm_relay.core.errors import BudgetExceeded, LedgerUnavailable
from llm_relay.core.usage import Usage
from tests.support.caller_faults import CallerFaults, calling_as, send_caller
from tests.support.dynamodb_proxy import (
    CONFLICT,
    RESET_AFTER_EXECUTION,
    RESET_BEFORE_EXECUTION,
    UNAVAILABLE,
)
from tests.support.ledger_accounts import Accounts, client, is_sound

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = 1_795_262_400.0  # 2026-11-21T12:00:00Z
USAGE = Usage(tokens_in=3, tokens_out=4)
MANY = 200


@pytest.fixture
def ledger(accounts: Accounts) -> Iterator[Ledger]:
    with ledger_behind(accounts) as ledger:
        yield ledger


@pytest.fixture
def ledger_with_retries(accounts: Accounts) -> Iterator[Ledger]:
    with ledger_behind(accounts, attempts=8) as ledger:
        yield ledger


@contextmanager
def ledger_behind(
    accounts: Accounts, *, allows: bool = False, attempts: int = 3
) -> Iterator[Ledger]:
    retries: Any = {"mode": "standard", "total_max_attempts": attempts}
    timeout = Config(max_pool_connections=MANY, retries=retries)
    with closing(
        boto3.client("dynamodb", endpoint_url=accounts.dynamodb_proxy.url, config=timeout)
    ) as behind:
        send_caller(behind)
        yield Ledger(accounts.table, allows_on_failure=allows, client=lambda: behind)


def reserve(ledger: Ledger, nanos: int, budget: int = 100, now: float = NOW) -> Reservation:
    hold = ledger.reserve(client(budget), nanos, now, 10)
    assert hold
    return hold


def read(accounts: Accounts) -> tuple[int, int, int]:
    """What is available, spent and held of a sound account."""
    account = accounts.read(now=NOW)
    assert is_sound(account)
    held = sum(hold.nanos for hold in account.reservations.values())
    return account.available, account.spent, held


def once(*faults: str | None) -> Iterator[str | None]:
    """Each fault for one request, then none."""
    yield from faults
    while True:
        yield None


def put_in_the_way(accounts: Accounts, *faults: str | None) -> None:
    planned = once(*faults)
    accounts.dynamodb_proxy.fault = lambda _operation: next(planned)


def test_the_maximum_cost_is_reserved_and_the_actual_cost_charged(
    accounts: Accounts, ledger: Ledger
) -> None:
    hold = reserve(ledger, 60)
    assert read(accounts) == (40, 0, 60)
    ledger.settle(hold, 25, USAGE, "m")
    assert read(accounts) == (75, 25, 0)
    (used,) = accounts.used()
    counted = {"requests": 1, "tokens_in": 3, "tokens_out": 4, "cost_nanos": 25}
    assert {name: used[name] for name in counted} == counted
    assert accounts.dynamodb_proxy.operations == ["UpdateItem", "TransactWriteItems"]


def test_a_released_reservation_is_available_again_and_not_counted_as_usage(
    accounts: Accounts, ledger: Ledger
) -> None:
    ledger.release(reserve(ledger, 60))
    assert (read(accounts), accounts.used()) == ((100, 0, 0), [])


def test_a_cost_above_the_reservation_is_charged_in_full(
    accounts: Accounts, ledger: Ledger
) -> None:
    ledger.settle(reserve(ledger, 60), 130, USAGE, "m")
    assert read(accounts) == (-30, 130, 0)


def test_a_refusal_over_budget_reports_the_remainder_and_the_reset(
    accounts: Accounts, ledger: Ledger
) -> None:
    usd = 10**9
    ledger.settle(reserve(ledger, 3 * usd, 10 * usd), 2 * usd, USAGE, "m")
    reserve(ledger, 5 * usd, 10 * usd)
    with pytest.raises(BudgetExceeded) as refusal:
        reserve(ledger, 4 * usd, 10 * usd)
    error = refusal.value
    expected = ("up to $4", "$3 is left", "budget of $10", "$2 is spent", "$5 reserved")
    assert [words for words in expected if words not in error.message] == []
    assert "2026-11-22T00:00:00Z" in error.message
    assert error.headers()["x-should-retry"] == "false"


def test_a_first_call_above_the_whole_budget_is_refused(ledger: Ledger) -> None:
    with pytest.raises(BudgetExceeded, match="is left of your budget"):
        reserve(ledger, 101)


@pytest.mark.parametrize(("budget", "nanos", "left"), [(150, 90, 0), (150, 91, None), (70, 10, 0)])
def test_a_changed_budget_counts_from_the_next_call_on(
    accounts: Accounts, ledger: Ledger, budget: int, nanos: int, left: int | None
) -> None:
    reserve(ledger, 60)
    if left is None:
        with pytest.raises(BudgetExceeded):
            reserve(ledger, nanos, budget)
        return
    reserve(ledger, nanos, budget)
    assert read(accounts)[0] == left


def test_a_budget_lowered_below_its_use_refuses_calls_until_it_suffices(
    accounts: Accounts, ledger: Ledger
) -> None:
    hold = reserve(ledger, 60)
    with pytest.raises(BudgetExceeded, match=r"\$0 is left"):
        reserve(ledger, 1, 50)
    ledger.settle(hold, 10, USAGE, "m")
    reserve(ledger, 40, 50)
    assert read(accounts) == (0, 10, 40)


def test_a_monthly_budget_outlasts_the_day(accounts: Accounts, ledger: Ledger) -> None:
    monthly = client(100, budget_per="month")
    for day in range(2):
        hold = ledger.reserve(monthly, 50, NOW + day * 86_400, 10)
        assert hold
        ledger.settle(hold, 50, USAGE, "m")
    with pytest.raises(BudgetExceeded, match="2026-12-01T00:00:00Z"):
        ledger.reserve(monthly, 1, NOW + 2 * 86_400, 10)
    assert accounts.read("month", NOW).available == 0
    assert [used["requests"] for used in accounts.used()] == [1, 1]


def test_an_expired_reservation_is_released_when_it_is_needed(
    accounts: Accounts, ledger: Ledger
) -> None:
    reserve(ledger, 80)
    dead = NOW + 10 + GRACE_SECONDS
    with pytest.raises(BudgetExceeded):
        reserve(ledger, 30, now=dead)
    reserve(ledger, 30, now=dead + 1)
    assert read(accounts) == (70, 0, 30)


def test_an_expired_reservation_is_released_with_the_next_call_anyway(
    accounts: Accounts, ledger: Ledger
) -> None:
    reserve(ledger, 20)
    reserve(ledger, 30, now=NOW + 100)
    assert read(accounts) == (70, 0, 30)


@pytest.mark.parametrize("repeats", [1, 3])
def test_a_cost_after_its_reservation_expired_is_charged_once(
    accounts: Accounts, ledger: Ledger, repeats: int
) -> None:
    hold = reserve(ledger, 80)
    reserve(ledger, 30, now=NOW + 100)
    for _ in range(repeats):
        ledger.settle(hold, 50, USAGE, "m")
    assert read(accounts) == (20, 50, 30)
    assert [used["requests"] for used in accounts.used()] == [1]


def test_nothing_is_settled_or_released_twice(accounts: Accounts, ledger: Ledger) -> None:
    hold = reserve(ledger, 60)
    for _ in range(2):
        ledger.settle(hold, 25, USAGE, "m")
        ledger.release(hold)
    assert read(accounts) == (75, 25, 0)


def test_tombstones_of_expired_reservations_are_deleted_eventually(
    accounts: Accounts, ledger: Ledger
) -> None:
    for late in (0, 100, 200 + TOMBSTONE_SECONDS):
        last = reserve(ledger, 10, now=NOW + late)
    assert list(accounts.read(now=NOW).reservations) != [last.name]  # one was swept only now
    ledger.release(last)
    reserve(ledger, 10, now=NOW + 300 + 2 * TOMBSTONE_SECONDS)
    assert len(accounts.read(now=NOW).reservations) == 1


@pytest.mark.parametrize(
    "fault", [RESET_AFTER_EXECUTION, RESET_BEFORE_EXECUTION, CONFLICT, UNAVAILABLE]
)
def test_a_transient_fault_changes_nothing(accounts: Accounts, ledger: Ledger, fault: str) -> None:
    put_in_the_way(accounts, fault)
    hold = reserve(ledger, 60)
    assert read(accounts) == (40, 0, 60)
    put_in_the_way(accounts, fault)
    ledger.settle(hold, 25, USAGE, "m")
    other = reserve(ledger, 60)
    put_in_the_way(accounts, fault)
    ledger.release(other)
    assert read(accounts) == (75, 25, 0)
    assert [used["requests"] for used in accounts.used()] == [1]


def test_without_dynamodb_calls_are_refused(
    accounts: Accounts, ledger: Ledger, capfd: pytest.CaptureFixture[str]
) -> None:
    accounts.dynamodb_proxy.fault = lambda _operation: UNAVAILABLE
    with pytest.raises(LedgerUnavailable):
        reserve(ledger, 60)
    assert "a budget could not be read" in capfd.readouterr().out


def test_without_dynamodb_calls_pass_if_so_configured(
    accounts: Accounts, capfd: pytest.CaptureFixture[str]
) -> None:
    accounts.dynamodb_proxy.fault = lambda _operation: UNAVAILABLE
    with ledger_behind(accounts, allows=True) as ledger:
        assert ledger.reserve(client(100), 60, NOW, 10) is None
    assert "a budget could not be read" in capfd.readouterr().out


@pytest.mark.parametrize("fault", [UNAVAILABLE, RESET_BEFORE_EXECUTION])
def test_a_cost_that_cannot_be_charged_is_logged_for_the_operator_to_charge(
    accounts: Accounts, ledger: Ledger, fault: str, capfd: pytest.CaptureFixture[str]
) -> None:
    hold = reserve(ledger, 60)
    accounts.dynamodb_proxy.fault = lambda _operation: fault
    ledger.settle(hold, 25, USAGE, "m")
    line = capfd.readouterr().out
    assert [word for word in (hold.name, '"cost_nanos":25') if word not in line] == []
    accounts.dynamodb_proxy.fault = lambda _operation: None
    assert read(accounts) == (40, 0, 60)


def test_a_budget_for_fifty_admits_fifty_of_two_hundred_concurrent_calls(
    accounts: Accounts, ledger: Ledger
) -> None:
    start = threading.Barrier(MANY)

    def call(_: int) -> bool:
        start.wait()
        try:
            hold = reserve(ledger, 7, 7 * 50 + 6)
        except BudgetExceeded:
            return False
        ledger.settle(hold, 7, USAGE, "m")
        return True

    with ThreadPoolExecutor(MANY) as callers:
        passed = sum(callers.map(call, range(MANY)))
    assert passed == 50
    assert read(accounts) == (6, 350, 0)
    assert [used["requests"] for used in accounts.used()] == [50]


@pytest.mark.parametrize("seed", range(3))
def test_random_concurrent_calls_through_a_failing_dynamodb_are_charged_exactly(
    accounts: Accounts, ledger_with_retries: Ledger, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - the same each time
    faults = [RESET_AFTER_EXECUTION, RESET_BEFORE_EXECUTION, CONFLICT, *[None] * 20]
    accounts.dynamodb_proxy.fault_for = CallerFaults(seed, faults)
    plans = [(chance.randint(1, 60), chance.random()) for _ in range(MANY)]

    def call(plan: tuple[int, float]) -> int | None:
        worst, share = plan
        try:
            hold = reserve(ledger_with_retries, worst, 2_000)
        except (BudgetExceeded, LedgerUnavailable):
            return None
        if share < 0.1:
            ledger_with_retries.release(hold)
            return 0
        cost = round(worst * share)
        ledger_with_retries.settle(hold, cost, USAGE, "m")
        return cost

    def call_as(number: int) -> int | None:
        with calling_as(f"call {number}"):
            return call(plans[number])

    with ThreadPoolExecutor(32) as callers:
        costs = [cost for cost in callers.map(call_as, range(MANY)) if cost is not None]
    accounts.dynamodb_proxy.fault_for = lambda _caller: None
    _, spent, held = read(accounts)
    assert (spent, held) == (sum(costs), 0)
    assert spent <= 2_000
    assert sum(used["cost_nanos"] for used in accounts.used()) == spent
