"""Two tries of one call: which is handed on, and what becomes of the other."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from llm_relay.answer import Answer
from llm_relay.errors import BudgetExceeded, UpstreamUnreachable
from llm_relay.hedge import Race, Try
from llm_relay.telemetry import Call

if TYPE_CHECKING:
    from collections.abc import Iterator

SOON, LONG, PATIENCE = 0.01, 60.0, 30.0


class Body:
    """A stream that tells of its call when it is closed, as a relayed one does."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self.closed = threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        return iter([b"data: 1\n\n"])

    def close(self) -> None:
        self._call.finish(200)
        self.closed.set()


def call() -> Call:
    return Call(route="route", request_id="id", client="client")


def test_the_other_try_is_closed_when_it_comes_and_tells_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    first, other, may_come = call(), call(), threading.Event()
    late = Body(first)

    def slow() -> Answer:
        may_come.wait(PATIENCE)
        return Answer(status=200, body=late)

    won = Answer(status=200, body=Body(other))
    answer = Race(Try(first, slow)).answer(lambda: Try(other, lambda: won), SOON)
    assert answer.body is won.body
    may_come.set()
    assert late.closed.wait(PATIENCE)
    assert capsys.readouterr().out == ""
    assert (other.hedged, first.hedged) == (True, False)


def test_a_failure_before_the_second_try_is_the_call_s() -> None:
    def fail() -> Answer:
        raise UpstreamUnreachable("no")

    with pytest.raises(UpstreamUnreachable):
        Race(Try(call(), fail)).answer(lambda: pytest.fail("asked again"), LONG)


def test_without_money_for_a_second_try_the_first_is_waited_for() -> None:
    refused = threading.Event()

    def slow() -> Answer:
        refused.wait(PATIENCE)
        return Answer(status=200, body=[])

    def second() -> Try:
        refused.set()
        raise BudgetExceeded("no")

    first = call()
    assert Race(Try(first, slow)).answer(second, SOON).status == 200
    assert not first.hedged
