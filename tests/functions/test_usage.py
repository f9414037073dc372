"""GET /v1/usage."""

from __future__ import annotations

import time
from typing import Any

from functions.usage.handler import handler
from llm_relay.billing.ledger import Ledger
from llm_relay.billing.ledger_account import day_at, period_at
from llm_relay.core.usage import Usage
from tests.functions.conftest import Answered, Context, proxy_event, taken
from tests.support.dynamodb_proxy import UNAVAILABLE
from tests.support.ledger_accounts import CLIENT, Accounts, client

USD = 10**9
BUDGET = {"budget_nanos": str(5 * USD), "budget_per": "month"}


def get(**known: str) -> Answered:
    event = proxy_event("GET", "/v1/usage", None)
    event["requestContext"]["authorizer"] = {"principalId": "p"} | known
    return taken(handler(event, Context(20, time.monotonic())))


def use(accounts: Accounts, model: str, cost: int, now: float) -> None:
    ledger = Ledger(accounts.table, allows_on_failure=False)
    hold = ledger.reserve(client(5 * USD, budget_per="month"), USD, now, 60)
    assert hold
    ledger.settle(hold, cost, Usage(tokens_in=10, tokens_out=20), model)


def row(day: str, model: str, requests: int, cost_usd: float) -> dict[str, Any]:
    counts = {"requests": requests, "tokens_in": 10 * requests, "tokens_out": 20 * requests}
    return {"day": day, "model": model, **counts, "cost_usd": cost_usd}


def test_a_client_sees_its_budget_and_its_use_by_day_and_model(accounts: Accounts) -> None:
    now = time.time()
    use(accounts, "b", USD // 4, now)
    use(accounts, "a", USD // 8, now)
    use(accounts, "b", USD // 4, now)
    ledger = Ledger(accounts.table, allows_on_failure=False)
    ledger.reserve(client(5 * USD, budget_per="month"), USD, now, 60)
    answer = get(client=CLIENT, **BUDGET)
    today = day_at(now)
    assert (answer.status, answer.json()) == (
        200,
        {
            "object": "usage",
            "client": CLIENT,
            "budget": {
                "usd": 5.0,
                "per": "month",
                "spent_usd": 0.625,
                "reserved_usd": 1.0,
                "remaining_usd": 3.375,
                "resets_at": period_at("month", now).resets_at,
            },
            "data": [row(today, "a", 1, 0.125), row(today, "b", 2, 0.5)],
        },
    )


def test_old_usage_is_not_shown(accounts: Accounts) -> None:
    now = time.time()
    for days in (40, 30):
        use(accounts, "a", 0, now - days * 86_400)
    shown = get(client=CLIENT, **BUDGET).json()["data"]
    assert [used["day"] for used in shown] == [day_at(now - 30 * 86_400)]


def test_an_unused_budget_is_fully_available(accounts: Accounts) -> None:
    report = get(client=CLIENT, **BUDGET).json()
    assert report["data"] == []
    assert (report["budget"]["spent_usd"], report["budget"]["remaining_usd"]) == (0.0, 5.0)


def test_a_client_without_a_budget_is_reported_as_such(accounts: Accounts) -> None:
    report = get(client=CLIENT).json()
    assert (report["client"], report["budget"], report["data"]) == (CLIENT, None, [])


def test_a_key_without_a_client_is_reported_with_how_to_get_one(accounts: Accounts) -> None:
    answer = get()
    assert (answer.status, answer.error["code"]) == (404, "no_client")
    assert "relay keys create" in answer.error["message"]
    assert accounts.dynamodb_proxy.operations == []


def test_without_dynamodb_usage_is_unavailable(accounts: Accounts) -> None:
    accounts.dynamodb_proxy.fault = lambda _operation: UNAVAILABLE
    answer = get(client=CLIENT, **BUDGET)
    assert (answer.status, answer.error["code"]) == (503, "budget_unavailable")
