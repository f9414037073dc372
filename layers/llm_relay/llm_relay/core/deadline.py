"""Deadlines on the monotonic clock."""

from __future__ import annotations

import time
from dataclasses import dataclass

# Reserved from the function's time, to answer when the provider takes all the rest.
REPLY_RESERVE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Deadline:
    """A point on the monotonic clock, in seconds."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """Return the deadline that many seconds from now."""
        return cls(time.monotonic() + seconds)

    def remaining(self) -> float:
        """Return the seconds left, never below zero."""
        return max(0.0, self.at - time.monotonic())

    def within(self, seconds: float) -> Deadline:
        """Return this deadline, or an earlier one that many seconds from now."""
        return Deadline(min(self.at, time.monotonic() + seconds))
