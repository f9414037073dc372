"""One rate limit: who may send a request now, and who waits for how long."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llm_relay.providers.rate_limit.headers import RateLimitStatus

# Of what is left, rows of batches leave as much of the limit to callers, who wait for an answer.
_SPARED = 0.1
_LONGEST_JITTER_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What a request is to do: to be sent under a number, or to wait for so many seconds."""

    number: int = 0
    wait: float = 0.0


class RateLimitWindow:
    """One limit: how many requests are left, and until when; times are seconds on any clock."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._sent = 0
        self._heard_of = 0  # the last request that was answered
        self._left: int | None = None  # None: not known
        self._limit: int | None = None
        self._ends = 0.0
        self._seconds = 0.0  # of a whole window
        self._sent_before = 0  # this window
        self._in_line = 0  # requests that wait for the windows to come
        self._called = 0  # those that waited for this one and are about to be sent

    def enter(self, now: float, patience: float) -> Step:
        """Count a request that is to be sent, or have it stand in line for a window to come.

        One that would have to stand there for longer than its patience is to be sent now.
        """
        with self._turn:
            self._roll(now)
            windows = self._in_line // self._limit if self._limit else 0
            wait = self._wait(now, windows)
            if not 0 < wait <= patience:
                return Step(number=self._count())
            self._in_line += 1
            return Step(wait=wait)

    def step(self, now: float, *, is_last: bool) -> Step:
        """Count a request that has stood in line if it is its turn, or if its patience is over."""
        with self._turn:
            self._roll(now)
            if self._called:
                self._called -= 1
                self._sent += 1
                return Step(number=self._sent)
            wait = self._wait(now)
            if wait and not is_last:
                return Step(wait=wait)
            self._in_line = max(0, self._in_line - 1)
            return Step(number=self._count())

    def hear(self, number: int, allowance: RateLimitStatus, now: float) -> None:
        """Learn from the answer to a request; it does not know of those that were sent later."""
        with self._turn:
            self._roll(now)
            self._limit = allowance.limit or self._limit
            is_of_the_last = number <= self._sent_before and now + allowance.seconds < self._ends
            if number < self._heard_of or is_of_the_last:
                return
            self._heard_of = number
            self._left = allowance.left - (self._sent - number) - self._called
            self._ends = now + allowance.seconds
            self._seconds = max(self._seconds, allowance.seconds)

    def has_room(self, now: float) -> bool:
        """Tell whether a request may be sent, as far as is known."""
        with self._turn:
            self._roll(now)
            return self._left is None or self._left > 0

    def share(self, now: float) -> tuple[float, float] | None:
        """Return how many requests batches may still make, and in how many seconds."""
        with self._turn:
            self._roll(now)
            if self._left is None:
                return None
            seconds = self._ends - now
            spared = _SPARED * (self._limit or 0) * seconds / self._seconds
            return max(0.0, self._left - spared), seconds

    def _count(self) -> int:
        self._sent += 1
        if self._left is not None:
            self._left -= 1
        return self._sent

    def _wait(self, now: float, windows: int = 0) -> float:
        if self._left is None or self._left > 0:
            return 0.0
        return self._ends - now + windows * self._seconds + self._jitter()

    def _roll(self, now: float) -> None:
        """Presume a full window after one that was made use of; else nothing is known."""
        if self._left is None or now < self._ends:
            return
        self._left = self._limit if self._sent > self._sent_before else None
        self._sent_before = self._sent
        self._ends = now + self._seconds
        self._called = min(self._in_line, self._left or 0)
        self._in_line = self._in_line - self._called if self._left else 0
        if self._left:
            self._left -= self._called

    def _jitter(self) -> float:
        """Return a little time: functions elsewhere wait for the same moment."""
        longest = min(_LONGEST_JITTER_SECONDS, self._seconds / 10)
        return random.uniform(0, longest)  # noqa: S311 - spreads callers, guards nothing
