"""A second try for a stream whose first event keeps its caller waiting; the first to come wins.

Imported only where the operator has switched it on: what is won in time may be paid for twice.
"""

from __future__ import annotations

import queue
from contextlib import suppress
from dataclasses import dataclass, replace
from threading import Lock, Thread
from typing import TYPE_CHECKING

from llm_relay.errors import MAY_BE_PAID, RelayError
from llm_relay.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Callable

    from llm_relay.answer import Answer
    from llm_relay.telemetry import Call


@dataclass(slots=True, eq=False)
class Try:
    """One way to the answer; `work` returns once there is something to hand on, or raises."""

    call: Call
    work: Callable[[], Answer]
    answer: Answer | None = None
    failure: Exception | None = None

    def run(self) -> None:
        """Do the work, in a thread of its own."""
        try:
            self.answer = self.work()
        except Exception as error:  # noqa: BLE001 - for whoever waits for it
            self.failure = error

    def may_be_paid(self) -> bool:
        """Tell whether the provider may ask money for it: also while nothing is known of it."""
        return self.failure is None or isinstance(self.failure, MAY_BE_PAID)

    def drop(self) -> None:
        """Hang up, and leave it to the other try to tell of the call."""
        self.call.disown()
        if self.answer:
            getattr(self.answer.body, "close", lambda: None)()


class BothCharges:
    """What both tries have set aside; all of it is charged for one that tells no usage."""

    def __init__(self, told: Try, other: Try) -> None:
        self._told = told
        self._charges = [(one, one.call.charge) for one in (told, other) if one.call.charge]

    def pay(self, usage: Usage, model: str | None, *, may_be_paid: bool) -> None:
        """Charge the cost of the one that is told, and the worst case of the other."""
        for one, charge in self._charges:
            is_told = one is self._told and one.answer is not None
            may_be = may_be_paid if is_told else one.may_be_paid()
            charge.pay(usage if is_told else Usage(), model, may_be_paid=may_be)

    def __bool__(self) -> bool:
        """Tell whether there is anything to pay from."""
        return bool(self._charges)


class Race:
    """Two tries; whichever comes after the other has won hangs up by itself."""

    def __init__(self, first: Try) -> None:
        self._first = first
        self._ended: queue.SimpleQueue[Try] = queue.SimpleQueue()
        self._turn = Lock()
        self._is_over = False
        self._start(first)

    def answer(self, second: Callable[[], Try], after_seconds: float) -> Answer:
        """Return the answer of the first to have one; the first try's failure if neither has."""
        with suppress(queue.Empty):
            return _answer(self._ended.get(timeout=after_seconds))
        try:
            other = second()
        except RelayError:  # there is no money for it, or nobody can tell
            return _answer(self._ended.get())
        self._start(other)
        ended = self._ended.get()
        if ended.failure:
            ended = self._ended.get()
        return self._decided(ended, other) if ended.answer else self._failed(other)

    def _decided(self, winner: Try, other: Try) -> Answer:
        loser = self._first if winner is other else other
        with self._turn:
            self._is_over = True
        if loser.answer or loser.failure:
            loser.drop()
        _tell_of_both(winner, loser)
        answer = _answer(winner)
        return replace(answer, headers={**answer.headers, **winner.call.headers()})

    def _failed(self, other: Try) -> Answer:
        """Raise the failure that says more of what may have been paid."""
        _tell_of_both(self._first, other)
        tells = other if other.may_be_paid() and not self._first.may_be_paid() else self._first
        return _answer(tells)

    def _start(self, one: Try) -> None:
        Thread(target=self._run, args=(one,), daemon=True).start()

    def _run(self, one: Try) -> None:
        one.run()
        with self._turn:
            if not self._is_over:
                self._ended.put(one)
                return
        one.drop()


def _tell_of_both(told: Try, other: Try) -> None:
    call = told.call
    call.hedged = True
    call.effort.attempts += other.call.effort.attempts
    call.effort.limited += other.call.effort.limited
    call.charge = BothCharges(told, other)


def _answer(ended: Try) -> Answer:
    if ended.answer is None:
        raise ended.failure or TimeoutError
    return ended.answer
