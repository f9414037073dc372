"""The concurrency limiter of a batch worker against simulated providers, on a simulated clock."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from llm_relay.batch.worker.concurrency import INITIAL_LIMIT, ConcurrencyLimiter

# Given the rows in progress and the time, how long an answer takes; None for a refusal.
Provider = Callable[[int, float], float | None]
_REFUSAL_SECONDS = 0.05


@dataclass
class Run:
    """Keeps the limit full for a while; remembers what the limit was."""

    limiter: ConcurrencyLimiter
    provider: Provider
    clock: float = 0.0
    limits: list[tuple[float, int]] = field(default_factory=list)
    answers: int = 0
    refusals: int = 0
    in_progress: list[tuple[float, float, bool]] = field(default_factory=list)

    def until(self, end: float) -> Run:
        in_progress = self.in_progress
        while self.clock < end:
            while len(in_progress) < self.limiter.limit:
                seconds = self.provider(len(in_progress) + 1, self.clock)
                ended = self.clock + (_REFUSAL_SECONDS if seconds is None else seconds)
                heapq.heappush(in_progress, (ended, self.clock, seconds is not None))
            self.clock, started, is_answer = heapq.heappop(in_progress)
            self._learn(started, len(in_progress) + 1, is_answer=is_answer)
        return self

    def _learn(self, started: float, in_progress: int, *, is_answer: bool) -> None:
        if is_answer:
            self.answers += 1
            self.limiter.on_success(started, self.clock, in_progress)
        else:
            self.refusals += 1
            self.limiter.on_overload(started, self.clock)
        self.limits.append((self.clock, self.limiter.limit))

    def since(self, moment: float) -> list[int]:
        return [limit for clock, limit in self.limits if clock >= moment]


def queueing(capacity: int, seconds: float = 1.0) -> Provider:
    """Serves so many at once in that time, and shares its power among more."""
    chance = random.Random(1)  # noqa: S311 - the same in each run

    def answer(in_progress: int, _clock: float) -> float:
        return seconds * max(1.0, in_progress / capacity) * chance.uniform(0.8, 1.2)

    return answer


def test_limit_reaches_maximum_when_provider_has_capacity() -> None:
    run = Run(ConcurrencyLimiter(128), queueing(10_000)).until(12)
    assert run.limits[0][1] <= INITIAL_LIMIT + 1
    assert run.limiter.limit == 128


@pytest.mark.parametrize("capacity", [2, 10, 40, 90])
def test_the_limit_settles_near_the_provider_s_capacity(capacity: int) -> None:
    limits = Run(ConcurrencyLimiter(1000), queueing(capacity)).until(600).since(60)
    assert capacity * 0.9 <= min(limits)
    assert max(limits) <= 3.5 * max(capacity, INITIAL_LIMIT)


@pytest.mark.parametrize("max_rows", [3, 20, 100])
def test_refusals_keep_the_limit_between_half_the_capacity_and_slightly_above(
    max_rows: int,
) -> None:
    run = Run(
        ConcurrencyLimiter(1000),
        lambda in_progress, _clock: 1.0 if in_progress <= max_rows else None,
    ).until(300)
    limits = run.since(30)
    assert max(limits) <= max_rows + 2
    assert sorted(limits)[len(limits) // 2] >= max_rows / 2
    assert run.refusals < run.answers / 5


def test_a_burst_of_refusals_halves_the_limit_once_per_round_trip() -> None:
    limiter = Run(ConcurrencyLimiter(64), queueing(1000)).until(10).limiter
    for _ in range(64):
        limiter.on_overload(started=10.0, ended=10.5)
    assert limiter.limit == 32
    limiter.on_overload(started=10.6, ended=10.7)
    assert limiter.limit == 16


def test_the_limit_never_falls_below_one_or_starts_above_the_maximum() -> None:
    limiter = ConcurrencyLimiter(2)
    assert limiter.limit == 2
    for second in range(20):
        limiter.on_overload(started=float(second), ended=second + 0.5)
    assert limiter.limit == 1


def test_a_limit_that_is_not_reached_does_not_grow() -> None:
    limiter = ConcurrencyLimiter(128)
    for second in range(100):
        limiter.on_success(float(second), second + 0.5, in_progress=1)
    assert limiter.limit == INITIAL_LIMIT


def test_permanently_slower_answers_at_most_halve_the_limit() -> None:
    fast, slow = queueing(10_000), queueing(10_000, seconds=8)
    run = Run(
        ConcurrencyLimiter(100), lambda rows, clock: (fast if clock < 30 else slow)(rows, clock)
    ).until(30)
    assert run.limiter.limit == 100
    limits = run.until(900).since(30)
    assert min(limits) >= 40
    assert limits[-1] > 60


def test_the_limit_falls_when_the_provider_loses_capacity() -> None:
    strong, weak = queueing(60), queueing(15)
    run = Run(
        ConcurrencyLimiter(1000), lambda rows, clock: (strong if clock < 60 else weak)(rows, clock)
    )
    before = run.until(60).limiter.limit
    assert run.until(600).limiter.limit < before * 0.7
