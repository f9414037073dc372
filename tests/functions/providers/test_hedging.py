"""Streams that are asked a second time because the first event is long in coming."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from functions.chat_completions.handler import handler
from llm_relay.api import relay
from llm_relay.api.hedge import NAME
from llm_relay.billing.admission import admit
from llm_relay.core.deadline import Deadline
from llm_relay.core.errors import ProviderRefused
from llm_relay.providers.client import AttemptTracker
from llm_relay.providers.dialects.dialect import ABLITERATION
from llm_relay.transport.http_transport import HttpRequest
from tests.functions.conftest import Answered, Context, proxy_event, taken
from tests.support.dynamodb_proxy import AWAY
from tests.support.ledger_accounts import CLIENT, Accounts, client, is_sound
from tests.support.measured import lines_in
from tests.support.paying_provider import (
    LISTED,
    MODEL,
    STREAMED,
    PayingProvider,
    _completion,
    question,
)
from tests.support.scripted_provider import (
    PATIENCE_SECONDS,
    RESET,
    Script,
    chunk,
    stream,
    wait_until,
    whole,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.functions.conftest import Secret

USD = 10**9
COST = 12_345
BODY = question("", stream=True)
ANSWERS = STREAMED["answers"][0](COST / USD)
HANGS: Script = [PATIENCE_SECONDS]
JSON = whole(200, _completion(usage={"prompt_tokens": 3}, estimated_cost_usd=COST / USD))
BUSY = whole(503, {"error": {"message": "no", "code": "overloaded"}})
REFUSES = whole(503, {"error": {"message": "no", "code": "overloaded"}}, x_should_retry="false")


@dataclass
class Ordered(PayingProvider):
    """Plays a script for each question, in the order in which they come."""

    plays: list[Script] = field(default_factory=list)
    turn: threading.Lock = field(default_factory=threading.Lock)

    def _script(self, path: str, text: bytes) -> Script:
        if path.endswith("/models"):
            return super()._script(path, text)
        with self.turn:
            self.asked.append(json.loads(text)["model"])
            return self.plays[min(len(self.asked), len(self.plays)) - 1]


@pytest.fixture
def paid(environment: pytest.MonkeyPatch, secret: Secret, accounts: Accounts) -> Iterator[Ordered]:
    provider = Ordered()
    with provider:
        environment.setenv("UPSTREAM_BASE_URL", provider.base_url)
        environment.setenv("HEDGE_PERCENT", "100")
        environment.setenv("HEDGE_AFTER_SECONDS", "0.2")
        yield provider
        relay.providers.cache_clear()


def ask(body: dict[str, Any] = BODY, budget_nanos: int = 1000 * USD) -> Answered:
    event = proxy_event("POST", "/v1/chat/completions", body)
    limits = {"budget_nanos": str(budget_nanos), "budget_per": "day"}
    event["requestContext"]["authorizer"] = {"principalId": "p", "client": CLIENT} | limits
    return taken(handler(event, Context(60, time.monotonic())))


def worst(body: dict[str, Any] = BODY) -> int:
    return admit(client(USD), "/chat/completions", body, LISTED, ABLITERATION).worst_nanos


def spent(accounts: Accounts) -> int:
    account = accounts.read()
    assert is_sound(account)
    assert account.holds == {}
    return account.spent


def told(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The one line that was written of the request."""
    lines = [line for line in lines_in(capsys.readouterr().out) if line["message"] == "request"]
    assert len(lines) == 1
    return lines[0]


def has_ended() -> bool:
    """Tell whether no try is under way."""
    return not any(thread.name == NAME for thread in threading.enumerate())


def test_the_second_try_answers_for_a_first_that_hangs_and_both_are_charged(
    paid: Ordered, accounts: Accounts, capsys: pytest.CaptureFixture[str]
) -> None:
    paid.plays = [HANGS, ANSWERS]
    answer = ask()
    assert answer.body.endswith(b"data: [DONE]\n\n")
    assert answer.headers["x-relay-attempts"] == "2"
    assert paid.asked == [MODEL, MODEL]
    assert spent(accounts) == worst() + COST
    line = told(capsys)
    assert (line["attempts"], line["hedged"], line["status"]) == (2, True, 200)


def test_a_first_event_in_time_is_asked_for_once(
    paid: Ordered,
    accounts: Accounts,
    environment: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    environment.setenv("HEDGE_AFTER_SECONDS", "30")
    paid.plays = [ANSWERS]
    assert ask().status == 200
    assert spent(accounts) == COST
    assert len(paid.asked) == 1
    assert "hedged" not in told(capsys)


def test_the_other_try_is_hung_up_on_when_it_comes(paid: Ordered) -> None:
    late = threading.Barrier(2)
    endless = [step for _ in range(1000) for step in (chunk(b": more\n\n"), 0.02)]
    paid.plays = [[late, *STREAMED["answers"][0](0.1)[:2], *endless], ANSWERS]
    assert ask().status == 200
    assert not paid.hung_up.is_set()
    late.wait(PATIENCE_SECONDS)
    wait_until(paid.hung_up.is_set)


@pytest.mark.parametrize(
    ("other", "is_paid"), [([RESET], True), (REFUSES, False)], ids=["breaks off", "refuses"]
)
def test_a_try_that_fails_leaves_the_answer_to_the_other(
    paid: Ordered, accounts: Accounts, other: Script, is_paid: bool
) -> None:
    both = threading.Barrier(2)
    paid.plays = [[both, *other], [both, *ANSWERS]]
    assert ask().status == 200
    assert spent(accounts) == COST + is_paid * worst()


def test_two_tries_that_fail_are_told_of_by_the_one_that_may_be_paid(
    paid: Ordered, accounts: Accounts, capsys: pytest.CaptureFixture[str]
) -> None:
    both = threading.Barrier(2)
    paid.plays = [[both, *REFUSES], [both, RESET]]
    answer = ask()
    assert (answer.status, answer.headers["x-should-retry"]) == (502, "false")
    assert spent(accounts) == worst()
    assert told(capsys)["attempts"] == 2


def test_a_budget_that_holds_one_call_but_not_two_is_not_hedged_with(
    paid: Ordered, accounts: Accounts
) -> None:
    paid.plays = [[1, *ANSWERS]]
    assert ask(budget_nanos=worst() * 2 - 1).status == 200
    assert len(paid.asked) == 1
    assert spent(accounts) == COST


def test_whole_answers_are_not_asked_for_twice(paid: Ordered) -> None:
    paid.plays = [[1, *whole(200, _completion())]]
    assert ask(question("")).status == 200
    assert len(paid.asked) == 1


def test_a_provider_that_says_nothing_but_its_head_does_not_win(
    paid: Ordered, accounts: Accounts, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("KEEP_ALIVE_SECONDS", "0.1")
    paid.plays = [stream(10 * PATIENCE_SECONDS), ANSWERS]
    answer = ask()
    assert answer.body.startswith(b"data: ")
    assert answer.body.endswith(b"data: [DONE]\n\n")
    assert spent(accounts) == worst() + COST
    wait_until(has_ended, PATIENCE_SECONDS / 2)  # though the provider keeps it waiting
    assert len(paid.asked) == 2


def test_the_try_that_did_not_win_asks_nobody_more(paid: Ordered) -> None:
    both, decided = threading.Barrier(2), threading.Barrier(2)
    paid.plays = [[both, *ANSWERS], [both, decided, *BUSY], ANSWERS]
    assert ask().headers["x-relay-attempts"] == "2"
    decided.wait(PATIENCE_SECONDS)
    wait_until(has_ended)
    assert len(paid.asked) == 2


def test_a_try_may_be_paid_from_its_request_on_until_the_provider_refuses(paid: Ordered) -> None:
    paid.plays = [REFUSES, ANSWERS]
    effort, deadline = AttemptTracker(), Deadline.after(PATIENCE_SECONDS)
    text = json.dumps(BODY).encode()
    request = HttpRequest(method="POST", path="/chat/completions", body=text)
    provider = relay.providers().named(None).provider
    with pytest.raises(ProviderRefused):
        provider.call(request, deadline, effort)
    assert not effort.is_asked
    provider.call(request, deadline, effort).close()
    assert effort.is_asked


def test_a_first_event_while_money_is_set_aside_makes_a_second_try_needless(
    paid: Ordered, accounts: Accounts, capsys: pytest.CaptureFixture[str]
) -> None:
    looks = threading.Barrier(2)
    paid.plays = [[looks, *ANSWERS]]
    wait_until(has_ended)

    def first_answers(operation: str) -> None:
        if operation == "UpdateItem" and not has_ended():  # the second one's money
            looks.wait(PATIENCE_SECONDS)
            wait_until(has_ended)

    accounts.door.fault = first_answers
    assert ask().status == 200
    assert len(paid.asked) == 1
    assert spent(accounts) == COST
    assert "hedged" not in told(capsys)


@pytest.mark.parametrize("other", [HANGS, JSON], ids=["hangs", "answers as well"])
def test_a_stream_that_is_answered_whole_is_told_of_once_and_both_tries_are_charged(
    paid: Ordered, accounts: Accounts, capsys: pytest.CaptureFixture[str], other: Script
) -> None:
    both = threading.Barrier(2)
    paid.plays = [[both, *JSON], [both, *other]]
    assert ask().json()["object"] == "chat.completion"
    if other is JSON:
        wait_until(has_ended)
    assert spent(accounts) == COST + worst()
    assert told(capsys)["hedged"] is True


def test_a_budget_that_nobody_can_tell_is_not_hedged_with(
    paid: Ordered, accounts: Accounts, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("ON_LEDGER_FAILURE", "allow")
    accounts.door.fault = lambda _operation: AWAY
    paid.plays = [[3, *ANSWERS]]
    assert ask().status == 200
    assert len(paid.asked) == 1


def test_the_share_of_calls_may_be_none(paid: Ordered, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("HEDGE_PERCENT", "0")
    paid.plays = [[1, *ANSWERS]]
    assert ask().status == 200
    assert len(paid.asked) == 1


def test_the_second_try_goes_to_the_next_provider(
    paid: Ordered, environment: pytest.MonkeyPatch
) -> None:
    paid.plays = [HANGS]
    other = Ordered(plays=[ANSWERS])
    with other:
        listed = [
            {"name": "first", "base_url": paid.base_url, "dialect": "abliteration"},
            {"name": "next", "base_url": other.base_url, "dialect": "abliteration"},
        ]
        environment.setenv("PROVIDERS", json.dumps(listed))
        relay.providers.cache_clear()
        answer = ask()
    assert answer.headers["x-relay-provider"] == "next"
    assert (len(paid.asked), len(other.asked)) == (1, 1)
