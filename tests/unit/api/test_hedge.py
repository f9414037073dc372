"""Two tries of one call: which is handed on, and what becomes of the other."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from llm_relay.api.hedge import Try, first_of_two
from llm_relay.core.answer import HttpAnswer
from llm_relay.core.errors import BudgetExceeded, DeadlineExceeded, UpstreamUnreachable
from llm_relay.observability.call_record import CallRecord
from llm_relay.providers.client import AttemptTracker

if TYPE_CHECKING:
    from collections.abc import Iterator

SOON, LONG, PATIENCE = 0.01, 60.0, 30.0
KEY, NEXT_KEY = "ak_0", "ak_1"


class Body:
    """A stream that tells of its call when it is closed, as a relayed one does."""

    def __init__(self, call: CallRecord) -> None:
        self._call = call
        self.closed = threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        return iter([b"data: 1\n\n"])

    def close(self) -> None:
        self._call.finish(200)
        self.closed.set()


def call() -> CallRecord:
    return CallRecord(route="route", request_id="id", client="client")


def test_the_other_try_is_closed_when_it_comes_and_tells_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    first, other, may_come = call(), call(), threading.Event()
    late = Body(first)

    def slow() -> HttpAnswer:
        may_come.wait(PATIENCE)
        return HttpAnswer(status=200, body=late)

    won = HttpAnswer(status=200, body=Body(other))
    winner = first_of_two(Try(first, slow), lambda: Try(other, lambda: won), SOON)
    assert winner.told().body is won.body
    may_come.set()
    assert late.closed.wait(PATIENCE)
    assert capsys.readouterr().out == ""
    assert (other.hedged, first.hedged) == (True, False)


def test_a_failure_before_the_second_try_is_the_call_s() -> None:
    def fail() -> HttpAnswer:
        raise UpstreamUnreachable("no")

    one = first_of_two(Try(call(), fail), lambda: pytest.fail("asked again"), LONG)
    with pytest.raises(UpstreamUnreachable):
        one.told()


def test_without_money_for_a_second_try_the_first_is_waited_for() -> None:
    refused = threading.Event()

    def slow() -> HttpAnswer:
        refused.wait(PATIENCE)
        return HttpAnswer(status=200, body=[])

    def second() -> Try:
        refused.set()
        raise BudgetExceeded("no")

    first = call()
    assert first_of_two(Try(first, slow), second, SOON).told().status == 200
    assert not first.hedged


def test_a_call_that_waits_to_ask_again_after_a_refusal_gets_no_second_try() -> None:
    first, second_was_made = call(), threading.Event()
    first.effort.attempts = 1

    def pausing() -> HttpAnswer:
        second_was_made.wait(0.2)
        return HttpAnswer(status=200, body=[])

    def second() -> None:
        second_was_made.set()

    assert first_of_two(Try(first, pausing), second, SOON).told().status == 200
    assert not second_was_made.is_set()


def test_a_try_that_fails_in_our_own_code_after_it_asked_may_be_paid() -> None:
    first, other, may_refuse = call(), call(), threading.Event()

    def refuse() -> HttpAnswer:
        may_refuse.wait(PATIENCE)
        raise UpstreamUnreachable("no")

    def fail() -> HttpAnswer:
        other.effort.begin(KEY)
        may_refuse.set()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        first_of_two(Try(first, refuse), lambda: Try(other, fail), SOON)


def test_a_call_that_is_called_off_asks_nobody_more_and_may_be_paid_for_what_it_asked() -> None:
    effort = AttemptTracker()
    effort.begin(KEY)
    effort.is_called_off = True
    with pytest.raises(DeadlineExceeded):
        effort.begin(NEXT_KEY)
    assert (effort.attempts, effort.key, effort.is_asked) == (1, KEY, True)
