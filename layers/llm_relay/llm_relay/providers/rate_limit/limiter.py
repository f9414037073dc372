"""Keeps calls within the provider's rate limits, as its answers tell of them, before it says 429.

What is known of a limit is a forecast: it may delay a call for a moment, and never refuses one. The
provider alone knows all of its limits, and a refusal of its own costs nothing.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_relay.providers.rate_limit.headers import rate_limit_status
from llm_relay.providers.rate_limit.window import RateLimitWindow

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from llm_relay.core.deadline import Deadline

# For a call that would be refused; if the limit starts afresh later, the provider is asked at once.
PATIENCE_SECONDS = 2.0
# Between two rows of a batch, for news of the limit however little is left of it.
LONGEST_SPACING_SECONDS = 5.0
_MOST_WINDOWS = 64  # callers choose the names of models


@dataclass(frozen=True, slots=True)
class Permit:
    """One request among those that were counted."""

    window: RateLimitWindow
    number: int
    clock: Callable[[], float]

    def heard(self, status: int, headers: Mapping[str, str]) -> None:
        """Learn from the head of its answer."""
        if allowance := rate_limit_status(status, headers):
            self.window.hear(self.number, allowance, self.clock())


class RateLimiter:
    """The limits of one provider, which hold for a key and, with some providers, for a model."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._windows: dict[tuple[str, str], RateLimitWindow] = {}
        self._turn = threading.Lock()

    def enter(self, key: str, model: str, deadline: Deadline) -> Permit:
        """Count a request that is about to be sent, after a wait for the next window if need be."""
        window, patience = self.window(key, model), deadline.within(PATIENCE_SECONDS)
        step = window.enter(self._clock(), patience.remaining())
        while not step.number:
            time.sleep(min(step.wait, patience.remaining()))
            step = window.step(self._clock(), is_last=not patience.remaining())
        return Permit(window, step.number, self._clock)

    def has_room(self, key: str, model: str) -> bool:
        """Tell whether a key has a request left, as far as is known."""
        return self.window(key, model).has_room(self._clock())

    def is_spent(self, model: str) -> bool:
        """Tell whether no key that was used for a model has a request left, as far as is known."""
        now, windows = self._clock(), self._windows_of(model)
        return bool(windows) and not any(window.has_room(now) for window in windows)

    def spacing(self, model: str) -> float:
        """Return the seconds between two rows of a batch that use what is left up evenly."""
        now = self._clock()
        shares = [share for window in self._windows_of(model) if (share := window.share(now))]
        if not shares:
            return 0.0
        rate = sum(left / seconds for left, seconds in shares)
        soonest = min(seconds for _, seconds in shares)
        return min(LONGEST_SPACING_SECONDS, soonest, 1 / rate if rate else soonest)

    def window(self, key: str, model: str) -> RateLimitWindow:
        """Return the limit of a key and a model."""
        with self._turn:
            name = (key, model)
            if name not in self._windows and len(self._windows) >= _MOST_WINDOWS:
                del self._windows[next(iter(self._windows))]
            return self._windows.setdefault(name, RateLimitWindow())

    def _windows_of(self, model: str) -> list[RateLimitWindow]:
        with self._turn:
            return [window for (_, name), window in self._windows.items() if name == model]
