"""Tracks the provider's rate limits by the headers of its answers, to pace the rows of batches."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

from llm_relay.providers.rate_limit.headers import parse_rate_limit

MAX_SPACING_SECONDS = 5.0  # a batch sends a row at least this often, to learn of new limits
_INTERACTIVE_SHARE = 0.1  # of the limit, which batches leave to interactive callers
_MAX_WINDOWS = 64  # callers choose the names of models


class RateLimitWindow:
    """What the provider's latest answer reports of one limit, less the requests sent since."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._sent = 0
        self._sent_before = 0  # the current window
        self._last_answered = 0  # the number of a request
        self._remaining: int | None = None  # None: unknown
        self._limit: int | None = None
        self._ends_at = 0.0
        self._seconds = 0.0  # length of a full window

    def count_request(self) -> int:
        """Count a request that is about to be sent; return its number."""
        with self._lock:
            self._roll_over()
            self._sent += 1
            if self._remaining is not None:
                self._remaining -= 1
            return self._sent

    def learn(self, number: int, status: int, headers: Mapping[str, str]) -> None:
        """Learn from the answer to a request, which does not cover requests sent after it."""
        reported = parse_rate_limit(status, headers)
        if not reported:
            return
        with self._lock:
            ends_at = self._roll_over() + reported.reset_seconds
            self._limit = reported.limit or self._limit
            is_of_last_window = number <= self._sent_before and ends_at < self._ends_at
            if number < self._last_answered or is_of_last_window:
                return
            self._last_answered = number
            self._remaining = reported.remaining - (self._sent - number)
            self._ends_at = ends_at
            self._seconds = max(self._seconds, reported.reset_seconds)

    def is_exhausted(self) -> bool:
        """Return whether no request remains, as far as is known."""
        with self._lock:
            self._roll_over()
            return self._remaining is not None and self._remaining <= 0

    def batch_share(self) -> tuple[float, float] | None:
        """Return how many requests batches may still send, and in how many seconds."""
        with self._lock:
            now = self._roll_over()
            if self._remaining is None:
                return None
            seconds = self._ends_at - now
            spared = _INTERACTIVE_SHARE * (self._limit or 0) * seconds / self._seconds
            return max(0.0, self._remaining - spared), seconds

    def _roll_over(self) -> float:
        """Start the next window if this one is over (unknown if it was unused); return the time."""
        now = self._clock()
        if self._remaining is not None and now >= self._ends_at:
            self._remaining = self._limit if self._sent > self._sent_before else None
            self._sent_before = self._sent
            self._ends_at = now + self._seconds
        return now


class RateLimitTracker:
    """The limits of one provider, by key and model, as some providers limit each model."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._windows: dict[tuple[str, str], RateLimitWindow] = {}
        self._lock = threading.Lock()

    def window(self, key: str, model: str) -> RateLimitWindow:
        """Return the limit of a key and a model."""
        with self._lock:
            name = (key, model)
            if name not in self._windows and len(self._windows) >= _MAX_WINDOWS:
                del self._windows[next(iter(self._windows))]
            return self._windows.setdefault(name, RateLimitWindow(self._clock))

    def is_exhausted(self, model: str) -> bool:
        """Return whether every key used for a model has no request left, as far as is known."""
        windows = self._windows_of(model)
        return bool(windows) and all(window.is_exhausted() for window in windows)

    def spacing_seconds(self, model: str) -> float:
        """Return the seconds between two rows of a batch that use up evenly what remains."""
        shares = [share for window in self._windows_of(model) if (share := window.batch_share())]
        if not shares:
            return 0.0
        rate = sum(remaining / seconds for remaining, seconds in shares)
        next_reset = min(seconds for _, seconds in shares)
        return min(MAX_SPACING_SECONDS, next_reset, 1 / rate if rate else next_reset)

    def _windows_of(self, model: str) -> list[RateLimitWindow]:
        with self._lock:
            return [window for (_, name), window in self._windows.items() if name == model]
