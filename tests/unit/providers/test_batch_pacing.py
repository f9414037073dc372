"""Batch workers against simulated rate limits, on a simulated clock."""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass, field
from typing import Protocol

import pytest

from llm_relay.batch.worker.concurrency import ConcurrencyLimiter, RatePacer
from llm_relay.providers.rate_limit.tracker import RateLimitTracker

LIMIT, SECONDS = 120, 60.0
ANSWER_SECONDS, ROWS_AT_ONCE = 1.5, 32


class Limited(Protocol):
    def asked(self, now: float) -> tuple[int, dict[str, str]]: ...


@dataclass
class FixedWindows:
    """So many requests a minute, by the clock."""

    ends: float = SECONDS
    requests: int = 0

    def asked(self, now: float) -> tuple[int, dict[str, str]]:
        if now >= self.ends:
            self.ends, self.requests = now - now % SECONDS + SECONDS, 0
        self.requests += 1
        reset = self.ends - now
        if self.requests > LIMIT:
            return 429, {"retry-after": f"{reset:.3f}"}
        return 200, limit_headers(LIMIT - self.requests, reset)


@dataclass
class Bucket:
    """Requests come back one by one; the reset is when all of them are."""

    left: float = LIMIT
    at: float = 0.0

    def asked(self, now: float) -> tuple[int, dict[str, str]]:
        self.left = min(LIMIT, self.left + (now - self.at) * LIMIT / SECONDS)
        self.at = now
        if self.left < 1:
            return 429, {"retry-after": f"{(1 - self.left) * SECONDS / LIMIT:.3f}"}
        self.left -= 1
        return 200, limit_headers(int(self.left), (LIMIT - self.left) * SECONDS / LIMIT)


def limit_headers(left: int, reset: float) -> dict[str, str]:
    return {
        "x-ratelimit-limit-requests": str(LIMIT),
        "x-ratelimit-remaining-requests": str(left),
        "x-ratelimit-reset-requests": f"{reset:.3f}s",
    }


@dataclass
class Simulation:
    """Batch workers with more rows than the limit allows, each with a view of its own."""

    provider: Limited
    workers: int
    is_paced: bool
    clock: float = 0.0
    statuses: list[int] = field(default_factory=list)

    def until(self, end: float) -> Simulation:
        order = itertools.count()
        turns = [(0.0, next(order), Worker(self)) for _ in range(self.workers)]
        while turns[0][0] < end:
            self.clock, _, worker = heapq.heappop(turns)
            heapq.heappush(turns, (worker.turn(), next(order), worker))
        return self

    @property
    def refused(self) -> int:
        return self.statuses.count(429)

    @property
    def answered(self) -> int:
        return self.statuses.count(200)


class Worker:
    def __init__(self, world: Simulation) -> None:
        self._world = world
        self._limits = RateLimitTracker(lambda: world.clock)
        self._pacer = RatePacer()
        self._limiter = ConcurrencyLimiter(ROWS_AT_ONCE)
        self._paused_until = 0.0
        self._in_progress: list[tuple[float, float, int, int, dict[str, str]]] = []

    def turn(self) -> float:
        """Do what is due; return when something will be next."""
        now = self._world.clock
        self._listen(now)
        is_free = len(self._in_progress) < self._limiter.limit and now >= self._paused_until
        if is_free and (not self._world.is_paced or now >= self._pacer.next_start):
            self._ask(now)
            return now + 0.005
        first = self._in_progress[0][0] if self._in_progress else now + 1
        return min(max(first, now), now + 0.05)

    def _ask(self, now: float) -> None:
        self._pacer.on_start(now, self._limits.spacing_seconds("m"))
        number = self._limits.window("k", "m").count_request()
        status, headers = self._world.provider.asked(now)
        self._world.statuses.append(status)
        seconds = ANSWER_SECONDS if status == 200 else 0.05
        heapq.heappush(self._in_progress, (now + seconds, now, number, status, headers))

    def _listen(self, now: float) -> None:
        while self._in_progress and self._in_progress[0][0] <= now:
            _, started, number, status, headers = heapq.heappop(self._in_progress)
            self._limits.window("k", "m").learn(number, status, headers)
            if status == 200:
                self._limiter.on_success(started, now, len(self._in_progress) + 1)
            else:
                self._limiter.on_overload(started, now)
                self._paused_until = now + float(headers["retry-after"])


@pytest.mark.parametrize("workers", [1, 10])
@pytest.mark.parametrize("provider", [FixedWindows, Bucket])
def test_batches_use_a_limit_up_and_are_hardly_ever_refused(
    provider: type[Limited], workers: int
) -> None:
    windows = 3
    paced = Simulation(provider(), workers, is_paced=True).until(windows * SECONDS)
    storming = Simulation(provider(), workers, is_paced=False).until(windows * SECONDS)
    assert paced.answered > 0.85 * storming.answered
    assert paced.refused <= (workers > 1) * paced.answered / 5
    assert storming.refused > 3 * max(1, paced.refused)
