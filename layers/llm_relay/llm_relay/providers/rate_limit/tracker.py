"""Tracks the provider's rate limits by the headers of its answers, to pace the rows of batches."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from llm_relay.providers.rate_limit.window import RateLimitWindow

# A batch sends a row at least this often, to learn of changes to the limit.
MAX_SPACING_SECONDS = 5.0
_MAX_WINDOWS = 64  # callers choose the names of models


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
