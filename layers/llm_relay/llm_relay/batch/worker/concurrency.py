"""How many rows to run at once, and how fast to start them."""

from __future__ import annotations

from functools import lru_cache
from statistics import median

INITIAL_LIMIT = 4
# A median of fewer latencies would be chance.
_MIN_WINDOW = 8
# Multiples of the best median latency.
_SLOW = 2.0
_TOO_SLOW = 3.0
_DECREASE = 0.9
# If concurrency causes the latency, half the limit brings it below this share.
_IMPROVED = 0.75
# Rows due within this time start together, so that the runner does not wake for each.
_BURST_SECONDS = 0.25


class ConcurrencyLimiter:
    """A limit that grows while the provider answers quickly and halves when it is overloaded.

    Additive increase, multiplicative decrease, after a doubling start. Times are seconds on any
    clock, passed in by the caller.
    """

    def __init__(self, max_limit: int) -> None:
        self._max_limit = max(1, max_limit)
        self.restart(INITIAL_LIMIT)

    def restart(self, limit: int) -> None:
        """Start again at this limit, without the latencies so far."""
        self._limit = float(min(limit, self._max_limit))
        self._is_starting = True  # the limit doubles with each round trip
        self._halved_at = float("-inf")
        self._latencies: list[float] = []
        self._window_start = float("-inf")
        self._window_size = _MIN_WINDOW
        self._best_latency: float | None = None
        self._is_slow = False
        self._too_slow_at: tuple[float, float] | None = None  # the limit and the latency then

    @property
    def limit(self) -> int:
        """How many rows may be in progress."""
        return int(self._limit)

    def on_success(self, started: float, ended: float, in_progress: int) -> None:
        """Adapt to an answer; `in_progress` counts the rows at its end, this one included."""
        if started >= self._window_start:
            self._latencies.append(ended - started)
        if len(self._latencies) >= self._window_size:
            self._evaluate(median(self._latencies))
            # Only rows started from now on run at the new limit.
            self._latencies.clear()
            self._window_start = ended
            self._window_size = max(_MIN_WINDOW, self.limit)
        # Below the limit, an answer shows nothing about the provider's capacity.
        if not self._is_slow and in_progress >= self.limit:
            increase = 1.0 if self._is_starting else 1 / self._limit
            self._limit = min(float(self._max_limit), self._limit + increase)
            self._is_starting = self._is_starting and self._limit < self._max_limit

    def on_overload(self, started: float, ended: float) -> None:
        """Halve the limit, at most once per round trip."""
        self._is_starting = False
        if started >= self._halved_at:
            self._halved_at = ended
            self._limit = max(1.0, self._limit / 2)

    def _evaluate(self, latency: float) -> None:
        best = self._best_latency = min(latency, self._best_latency or latency)
        self._is_slow = latency > _SLOW * best
        if self._is_slow and self._is_starting:
            self._is_starting = False
            self._limit /= 2
        elif latency > _TOO_SLOW * best:
            self._decrease(latency)
        else:
            self._too_slow_at = None

    def _decrease(self, latency: float) -> None:
        limit, previous_latency = self._too_slow_at = self._too_slow_at or (self._limit, latency)
        self._limit = max(1.0, self._limit * _DECREASE)
        if self._limit > limit / 2:
            return
        self._too_slow_at = None
        if latency > _IMPROVED * previous_latency:  # not the concurrency: answers take longer
            self._best_latency, self._is_slow = latency, False


@lru_cache(maxsize=1)  # other batches may have slower rows
def limiter_for(_batch_id: str, max_limit: int) -> ConcurrencyLimiter:
    """Return the limiter of the batch's previous chunk here, or a new one."""
    return ConcurrencyLimiter(max_limit)


class RatePacer:
    """Spreads the starts of rows over time."""

    def __init__(self) -> None:
        self.next_start = float("-inf")

    def on_start(self, now: float, spacing_seconds: float) -> None:
        """Move the next start behind a row that starts now."""
        self.next_start = max(self.next_start, now - _BURST_SECONDS) + spacing_seconds
