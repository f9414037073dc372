"""Which fault is next, by a seed: every one comes once before any comes again."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from tests.faults.catalogue import NO_FAULT, SCRIPTED
from tests.faults.load.callers import Question

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.faults.fault import Fault, Form


class Deck:
    """Faults in an order that the seed decides, and calls that are to meet them."""

    def __init__(self, seed: object, faults: Iterable[Fault] = SCRIPTED.values()) -> None:
        self.chance = random.Random(str(seed))  # noqa: S311 - to be dealt again
        self._seed = seed
        self._faults = tuple(faults)
        self._left: list[Fault] = []
        self._dealt = 0

    def fault(self) -> Fault:
        """The next fault."""
        if not self._left:
            self._left = list(self._faults)
            self.chance.shuffle(self._left)
        return self._left.pop()

    def question(self, fault: Fault = NO_FAULT, forms: tuple[Form, ...] = ()) -> Question:
        """A call that is to meet a fault, in one of the forms that it can befall."""
        self._dealt += 1
        return Question(
            name=f"{self._seed}.{self._dealt}",
            form=self.chance.choice(forms or fault.forms),
            fault=fault,
            cost_nanos=self.chance.randrange(1, 10**6),
        )
