"""How many rows to ask at once: as many as the provider takes without refusing or slowing down."""

from __future__ import annotations

from statistics import median

FIRST_LIMIT = 4
# A window of answers tells of a limit; the median of fewer would be chance.
_LEAST_WINDOW = 8
_SLOW = 2.0
_TOO_SLOW = 3.0
_SHRINKS_BY = 0.9
# Half the limit makes answers quicker than that, if it is the limit that has made them slow.
_HELPED = 0.75


class ConcurrencyLimiter:
    """A limit that grows while answers come well, and shrinks when they do not.

    Times are seconds on any clock, handed in by the caller.
    """

    def __init__(self, ceiling: int, first: int = FIRST_LIMIT) -> None:
        self._ceiling = max(1, ceiling)
        self._limit = float(min(first, self._ceiling))
        self._is_starting = True  # the limit doubles with each round trip until something is wrong
        self._cut_at = float("-inf")
        self._latencies: list[float] = []
        self._window_from = float("-inf")
        self._window = _LEAST_WINDOW
        self._best: float | None = None
        self._is_slow = False
        self._too_slow_at: tuple[float, float] | None = None  # which limit, and which latency

    @property
    def limit(self) -> int:
        """How many rows may be under way."""
        return int(self._limit)

    def answered(self, started: float, ended: float, under_way: int) -> None:
        """Learn from an answer; `under_way` rows, this one included, were so when it came."""
        if started >= self._window_from:
            self._latencies.append(ended - started)
        if len(self._latencies) >= self._window:
            self._judge(median(self._latencies))
            self._open_window(ended)
        # A limit that is not reached says nothing of what the provider can take.
        if not self._is_slow and under_way >= self.limit:
            self._grow(1.0 if self._is_starting else 1 / self._limit)

    def refused(self, started: float, ended: float) -> None:
        """Learn from a refusal for load or failure: half the limit, once per round trip."""
        self._is_starting = False
        if started >= self._cut_at:
            self._cut_at = ended
            self._limit = max(1.0, self._limit / 2)

    def _open_window(self, now: float) -> None:
        """Listen to rows asked from now on alone: the others were asked at another limit."""
        self._latencies.clear()
        self._window_from = now
        self._window = max(_LEAST_WINDOW, self.limit)

    def _judge(self, latency: float) -> None:
        best = self._best = latency if self._best is None else min(self._best, latency)
        self._is_slow = latency > _SLOW * best
        if self._is_slow and self._is_starting:
            self._is_starting = False
            self._limit /= 2
        elif latency > _TOO_SLOW * best:
            self._ease(latency)
        else:
            self._too_slow_at = None

    def _ease(self, latency: float) -> None:
        """Shrink; if that does not help, it is the answers that have become longer."""
        limit, latency_then = self._too_slow_at = self._too_slow_at or (self._limit, latency)
        self._limit = max(1.0, self._limit * _SHRINKS_BY)
        if self._limit > limit / 2:
            return
        self._too_slow_at = None
        if latency > _HELPED * latency_then:
            self._best, self._is_slow = latency, False

    def _grow(self, by: float) -> None:
        self._limit = min(float(self._ceiling), self._limit + by)
        self._is_starting = self._is_starting and self._limit < self._ceiling
