"""A second try for a stream whose first event keeps its caller waiting; the first to come wins.

Imported only where the operator has switched it on: what is won in time may be paid for twice.
"""

from __future__ import annotations

import queue
from contextlib import suppress
from dataclasses import dataclass, replace
from threading import Thread
from typing import TYPE_CHECKING

from llm_relay.core.errors import ProviderRefused, RelayError
from llm_relay.core.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Callable

    from llm_relay.core.answer import HttpAnswer
    from llm_relay.observability.call_record import CallRecord

    Ended = queue.SimpleQueue["Try"]


NAME = "try"  # of a thread


@dataclass(slots=True, eq=False)
class Try:
    """One way to the answer; `work` returns once there is an event of it, or raises."""

    call: CallRecord
    work: Callable[[], HttpAnswer]
    answer: HttpAnswer | None = None
    failure: Exception | None = None

    def start(self, ended: Ended) -> None:
        """Do the work in a thread of its own, and tell when it has ended."""
        Thread(target=self._run, args=(ended,), name=NAME, daemon=True).start()

    def told(self) -> HttpAnswer:
        """Return its answer, with what there is to tell by now; raise its failure."""
        if self.answer is None:
            raise self.failure or TimeoutError
        return replace(self.answer, headers={**self.answer.headers, **self.call.headers()})

    def may_be_paid(self) -> bool:
        """Tell whether the provider may ask money for it: it was asked, and has not refused."""
        return self.call.effort.is_asked and not isinstance(self.failure, ProviderRefused)

    def is_refused(self) -> bool:
        """Tell whether the provider has refused it, and it is about to ask again."""
        return self.call.effort.attempts > 0 and not self.call.effort.is_asked

    def release(self) -> None:
        """Give back what was set aside for it: it was never started."""
        if self.call.charge:
            self.call.charge.pay(Usage(), None, may_be_paid=False)

    def call_off(self) -> None:
        """Have it ask nobody more, and leave it to the other try to tell of the call."""
        self.call.disown()
        self.call.effort.is_called_off = True
        self._hang_up()

    def _run(self, ended: Ended) -> None:
        try:
            self.answer = self.work()
        except Exception as error:  # noqa: BLE001 - for whoever waits for it
            self.failure = error
        ended.put(self)
        if self.call.effort.is_called_off:
            self._hang_up()

    def _hang_up(self) -> None:
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


def first_of_two(first: Try, second: Callable[[], Try | None], after_seconds: float) -> Try:
    """Return the first to answer; without a second try, the first however it ended.

    If both fail, raises the failure that may have been paid.
    """
    ended: Ended = queue.SimpleQueue()
    first.start(ended)
    with suppress(queue.Empty):
        return ended.get(timeout=after_seconds)
    other = None if first.is_refused() else _started(second, ended)
    one = ended.get()
    if other is None:
        return one
    return _decided(one if one.answer else ended.get(), first, other)


def _decided(one: Try, first: Try, other: Try) -> Try:
    if one.answer is None:
        _tell_of_both(first, other)
        raise max((first, other), key=Try.may_be_paid).failure or TimeoutError
    loser = first if one is other else other
    loser.call_off()
    _tell_of_both(one, loser)
    return one


def _started(second: Callable[[], Try | None], ended: Ended) -> Try | None:
    """Return the second try on its way; None if there is to be none, or no need for it now."""
    other = None
    with suppress(RelayError, RuntimeError):  # no money, or no thread: the first goes on
        other = second()
        if other and ended.empty():
            other.start(ended)
            return other
    if other:
        other.release()
    return None


def _tell_of_both(told: Try, other: Try) -> None:
    call = told.call
    call.hedged = True
    call.effort.attempts += other.call.effort.attempts
    call.effort.limited += other.call.effort.limited
    call.charge = BothCharges(told, other)
