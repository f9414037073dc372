"""Budgets through the relay functions: every way in which a call can end, and its price."""

from __future__ import annotations

import json
import random
import time
from typing import TYPE_CHECKING, Any

import pytest

from functions.chat_completions.handler import handler
from llm_relay.api import relay
from llm_relay.aws.lambda_streaming import StreamResponse
from llm_relay.billing.admission import admit
from llm_relay.providers.dialects.dialect import ABLITERATION
from tests.functions.conftest import Answered, Context, proxy_event, taken
from tests.support.dynamodb_proxy import UNAVAILABLE
from tests.support.ledger_accounts import CLIENT, Accounts, client, is_sound
from tests.support.priced_provider import (
    HANGS,
    LISTED,
    MODEL,
    STALLS,
    STREAMED,
    WHOLE,
    PricedProvider,
    expected_nanos,
    question,
)
from tests.support.scripted_provider import ScriptedProvider, wait_until, whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.functions.conftest import Secret

USD = 10**9
PLENTY = {"budget_nanos": str(1000 * USD), "budget_per": "day"}


@pytest.fixture
def priced_provider(
    environment: pytest.MonkeyPatch, secret: Secret, accounts: Accounts
) -> Iterator[PricedProvider]:
    provider = PricedProvider()
    with provider:
        environment.setenv("UPSTREAM_BASE_URL", provider.base_url)
        yield provider
        relay.provider_router.cache_clear()


def event(body: dict[str, Any], **limits: str) -> dict[str, Any]:
    asked = proxy_event("POST", "/v1/chat/completions", body)
    asked["requestContext"]["authorizer"] = {"principalId": "p", "client": CLIENT} | limits
    return asked


def sent(body: dict[str, Any], **limits: str) -> Any:
    return handler(event(body, **limits), Context(60, time.monotonic()))


def ask(body: dict[str, Any], **limits: str) -> Answered:
    return taken(sent(body, **limits))


def worst(body: dict[str, Any]) -> int:
    admission = admit(client(USD), "/chat/completions", body, LISTED, ABLITERATION)
    return admission.max_cost_nanos


def spent(accounts: Accounts) -> int:
    """What a settled account says is spent."""
    account = accounts.read()
    assert is_sound(account)
    assert account.reservations == {}
    return account.spent


@pytest.mark.parametrize(
    ("streamed", "fate"), [*((False, fate) for fate in WHOLE), *((True, fate) for fate in STREAMED)]
)
def test_each_outcome_of_a_call_is_charged_exactly(
    priced_provider: PricedProvider, accounts: Accounts, fate: str, streamed: bool
) -> None:
    body = question(fate, 12_345, stream=streamed)
    ask(body, **PLENTY)
    assert priced_provider.asked == [fate]
    assert spent(accounts) == expected_nanos(body, worst(body))
    charged = [used["cost_nanos"] for used in accounts.used()]
    assert sum(charged) == spent(accounts)


@pytest.mark.parametrize("pieces", [0, 1])
def test_a_stream_whose_caller_leaves_costs_its_whole_reservation(
    priced_provider: PricedProvider, accounts: Accounts, pieces: int
) -> None:
    body = question(STALLS, stream=True)
    answer = sent(body, **PLENTY)
    stream = answer.body if isinstance(answer, StreamResponse) else pytest.fail("no stream")
    for _ in range(pieces):
        next(iter(stream))
    for _ in range(2):
        answer.close()
    assert spent(accounts) == worst(body)


def test_a_timed_out_call_is_charged_as_possibly_billed(
    environment: pytest.MonkeyPatch, priced_provider: PricedProvider, accounts: Accounts
) -> None:
    environment.setenv("UPSTREAM_FIRST_BYTE_SECONDS", "5")
    # The key and the prices are known from then on.
    wait_until(lambda: ask(question("answers"), **PLENTY).status == 200)
    body = question(HANGS)
    assert ask(body, **PLENTY).status == 504
    assert priced_provider.asked == ["answers", HANGS]
    assert spent(accounts) == worst(body)


def test_a_call_that_timed_out_before_it_was_sent_costs_nothing(
    environment: pytest.MonkeyPatch, priced_provider: PricedProvider, accounts: Accounts
) -> None:
    environment.setenv("UPSTREAM_FIRST_BYTE_SECONDS", "0")
    assert ask(question(HANGS), **PLENTY).status == 504
    assert priced_provider.asked == []
    assert spent(accounts) == 0


def test_a_provider_that_cannot_be_reached_costs_nothing(
    environment: pytest.MonkeyPatch, priced_provider: PricedProvider, accounts: Accounts
) -> None:
    environment.setenv("UPSTREAM_MAX_ATTEMPTS", "1")
    environment.setenv("UPSTREAM_KEEP_SECONDS", "0")
    assert ask(question("answers", 1), **PLENTY).status == 200  # prices are known from now on
    priced_provider.__exit__()
    answer = ask(question("answers"), **PLENTY)
    assert (answer.status, answer.error["code"]) == (502, "upstream_unreachable")
    assert spent(accounts) == 1


@pytest.mark.parametrize("seed", range(4))
def test_random_outcomes_are_charged_the_sum_of_their_costs(
    priced_provider: PricedProvider, accounts: Accounts, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - the same each time
    expected = 0
    for _ in range(25):
        streamed = chance.random() < 0.5
        fate = chance.choice([*(STREAMED if streamed else WHOLE)])
        body = question(fate, chance.randint(0, 50_000), stream=streamed)
        ask(body, **PLENTY)
        expected += expected_nanos(body, worst(body))
    assert spent(accounts) == expected
    assert sum(used["cost_nanos"] for used in accounts.used()) == expected


def test_a_call_over_budget_is_refused_before_the_provider_is_called(
    priced_provider: PricedProvider, accounts: Accounts
) -> None:
    body = question("answers", 1_000)
    budget = {"budget_nanos": str(worst(body)), "budget_per": "month"}
    assert ask(body, **budget).status == 200
    refusal = ask(body, **budget)
    assert (refusal.status, refusal.error["code"]) == (402, "budget_exceeded")
    assert refusal.headers["x-should-retry"] == "false"
    assert "resets at" in refusal.error["message"]
    assert priced_provider.asked == ["answers"]


def test_a_client_without_a_budget_costs_no_request_to_dynamodb(
    priced_provider: PricedProvider, accounts: Accounts
) -> None:
    assert ask(question("answers", 1)).status == 200
    assert accounts.dynamodb_proxy.operations == []
    assert [request.path for request in priced_provider.requests] == ["/v1/chat/completions"]


@pytest.mark.parametrize(("setting", "status"), [("refuse", 503), ("allow", 200)])
def test_without_dynamodb_a_call_follows_the_fail_open_setting(
    environment: pytest.MonkeyPatch,
    priced_provider: PricedProvider,
    accounts: Accounts,
    setting: str,
    status: int,
) -> None:
    environment.setenv("ON_LEDGER_FAILURE", setting)
    accounts.dynamodb_proxy.fault = lambda _operation: UNAVAILABLE
    answer = ask(question("answers", 1), **PLENTY)
    assert (answer.status, len(priced_provider.asked)) == (status, int(status == 200))
    if status == 503:
        assert answer.error["code"] == "budget_unavailable"


def test_a_model_that_the_client_may_not_use_is_refused(priced_provider: PricedProvider) -> None:
    answer = ask(question("answers"), models="a,b")
    assert (answer.status, answer.error["code"]) == (403, "model_not_allowed")
    assert priced_provider.requests == []


def test_more_tokens_than_the_client_may_have_are_refused(priced_provider: PricedProvider) -> None:
    answer = ask(question("answers", max_tokens=11), max_output_tokens="10")
    assert (answer.status, answer.error["param"]) == (400, "max_tokens")
    assert priced_provider.requests == []


def test_a_client_s_cap_is_set_in_a_request_without_one(priced_provider: PricedProvider) -> None:
    ask(question("answers", max_tokens=None), max_output_tokens="10")
    assert json.loads(priced_provider.requests[0].body)["max_tokens"] == 10


def test_a_model_without_a_price_is_refused_only_on_a_budget(
    priced_provider: PricedProvider, accounts: Accounts
) -> None:
    body = question("answers", model="unpriced-model")
    refusal = ask(body, **PLENTY)
    assert (refusal.status, refusal.error["code"]) == (402, "model_unpriced")
    assert priced_provider.asked == []
    assert ask(body).status == 200


def test_a_cost_that_the_provider_omits_is_computed_from_its_list_price(
    environment: pytest.MonkeyPatch, secret: Secret, accounts: Accounts
) -> None:
    counts = {"prompt_tokens": 100, "completion_tokens": 10}
    answer = {"object": "chat.completion", "model": "another-name", "choices": [], "usage": counts}
    with ScriptedProvider() as provider:
        provider.scripts = [whole(200, {"data": [LISTED]}), whole(200, answer)]
        environment.setenv("UPSTREAM_BASE_URL", provider.base_url)
        assert ask({"model": MODEL, "messages": [{"role": "user", "content": "a"}]}, **PLENTY)
        wait_until(lambda: len(provider.requests) == 2)
        relay.provider_router.cache_clear()
    assert spent(accounts) == 130_000


def test_a_call_on_a_budget_is_temporarily_refused_while_prices_are_unavailable(
    environment: pytest.MonkeyPatch, secret: Secret, accounts: Accounts
) -> None:
    environment.setenv("UPSTREAM_MAX_ATTEMPTS", "1")
    with ScriptedProvider() as provider:
        provider.scripts = [whole(503, {"error": {"message": "busy"}})]
        environment.setenv("UPSTREAM_BASE_URL", provider.base_url)
        refusal = ask({"model": MODEL, "messages": [{"role": "user", "content": "a"}]}, **PLENTY)
        assert (refusal.status, refusal.error["code"]) == (503, "prices_unavailable")
        assert "x-should-retry" not in refusal.headers
        assert len(provider.requests) == 1  # for the list
        relay.provider_router.cache_clear()
