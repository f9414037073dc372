"""A seeded random walk: volleys of calls, each of which meets a fault, and account checks."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.faults.environment import BudgetedClient
from tests.faults.fault import FORMS, Outcome
from tests.faults.fault_schedule import Deck
from tests.faults.invariants import describe, wrong_billing, wrong_charges, wrong_outcomes
from tests.faults.load.callers import ask
from tests.faults.provider.connection_faults import CONNECTION_FAULTS
from tests.support.scripted_provider import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llm_relay.billing.ledger_account import ReservedAmount
    from tests.faults.fault import Fault, World
    from tests.faults.load.callers import CallResult, Question

VOLLEY = 16
Outcomes = Counter[tuple[str, Outcome]]  # by the kind of fault


class InvariantBrokenError(AssertionError):
    """An invariant was violated."""


@dataclass
class Walk:
    """One way through the faults; the same seed asks the same questions in the same order."""

    world: World
    seed: int
    around: tuple[Fault, ...] = CONNECTION_FAULTS
    outcomes: Outcomes = field(default_factory=Counter)
    steps: int = 0

    def __post_init__(self) -> None:
        self._deck = Deck(self.seed)
        self._known_holds: set[str] = set()
        self.client = BudgetedClient(self.world.stack)
        wait_until(self.client.is_known, 60)

    def warm_up(self) -> None:
        """Have every process start, and fetch the key and the prices, before anything counts."""
        questions = [self._deck.question() for _ in range(2 * VOLLEY)]
        wait_until(lambda: all_answered(self._ask(questions)), 120)
        self.world.provider.billed.clear()
        self._settled()

    def volley(self) -> None:
        """Calls that meet a fault each, all at once."""
        faults = [self._deck.fault() for _ in range(VOLLEY)]
        self._step([self._deck.question(fault) for fault in faults], None)

    def volley_amid(self, fault: Fault) -> None:
        """Calls without a fault of their own, amid one that is around them all."""
        self._step([self._deck.question(forms=(form,)) for form in FORMS], fault)

    def _step(self, questions: list[Question], around: Fault | None) -> None:
        self.steps += 1
        before = self.client.account().spent
        with around.around(self.world) if around and around.around else nullcontext():
            results = self._ask(questions)
        for each in results:
            self.outcomes[(around or each.question.fault).kind, each.outcome] += 1
        spent = self._settled() - before
        if wrong := list(self._wrong(results, around, spent)):
            where = f"seed {self.seed}, step {self.steps}{f': {around.name}' if around else ''}"
            raise InvariantBrokenError("\n".join([where, *wrong, "", *map(describe, results)]))

    def _wrong(self, results: list[CallResult], around: Fault | None, spent: int) -> Iterator[str]:
        yield from wrong_outcomes(results, around)
        yield from wrong_billing(results, self.world.provider)
        yield from wrong_charges(results, spent)
        for name, hold in self._left_over().items():
            self._known_holds.add(name)  # reported once
            yield f"{name} still holds {hold.nanos} nanodollars until {hold.expires_at}"

    def _settled(self) -> int:
        with suppress(AssertionError):
            wait_until(lambda: not self._left_over(), 60)
        return self.client.account().spent

    def _left_over(self) -> dict[str, ReservedAmount]:
        holds = self.client.account().reservations
        return {name: hold for name, hold in holds.items() if name not in self._known_holds}

    def _ask(self, questions: list[Question]) -> list[CallResult]:
        return asyncio.run(self._ask_all(questions))

    async def _ask_all(self, questions: list[Question]) -> list[CallResult]:
        async with self.client.session() as session:
            calls = (ask(session, self.client.base_url, question) for question in questions)
            return await asyncio.gather(*calls)


def all_answered(results: list[CallResult]) -> bool:
    """Whether every call was answered whole."""
    return all(each.outcome == Outcome.ANSWERED for each in results)
