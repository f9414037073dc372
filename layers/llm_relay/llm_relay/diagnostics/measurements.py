"""Measures how a stream arrives and how far two clocks differ."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

MAX_SIGNATURE_SKEW_SECONDS = 300  # AWS refuses signatures beyond it
WARN_SKEW_SECONDS = 60
_MIN_CONCLUSIVE_SECONDS = 0.5  # a faster answer may have been generated all at once
# A buffered stream arrives within this share of the total, and faster than any provider's words.
_MAX_BUFFERED_SHARE = 0.05
_MAX_BUFFERED_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamTiming:
    """When the first and last piece arrived, in seconds since the request."""

    first_seconds: float
    last_seconds: float

    @property
    def spread_seconds(self) -> float:
        """The time from the first piece to the last."""
        return self.last_seconds - self.first_seconds

    @property
    def is_buffered(self) -> bool:
        """Whether everything arrived at once after a long wait."""
        max_spread = min(_MAX_BUFFERED_SHARE * self.last_seconds, _MAX_BUFFERED_SECONDS)
        return self.last_seconds >= _MIN_CONCLUSIVE_SECONDS and self.spread_seconds < max_spread

    def __str__(self) -> str:
        """Return the times in words."""
        first, last = (round(1000 * each) for each in (self.first_seconds, self.last_seconds))
        return f"first piece after {first} ms, last after {last} ms"


def measure_stream(pieces: Iterable[bytes], started: float) -> StreamTiming | None:
    """Time the pieces with events; None without any. `started` is from time.monotonic."""
    times = [time.monotonic() - started for piece in pieces if b"data:" in piece]
    return StreamTiming(first_seconds=times[0], last_seconds=times[-1]) if times else None


def clock_skew(date: str | None) -> float | None:
    """Return by how many seconds our clock is ahead of a Date header; None without one."""
    try:
        return time.time() - parsedate_to_datetime(date or "").timestamp()
    except ValueError:
        return None


def describe_skew(seconds: float) -> str:
    """Return the difference in words, to be followed by the other clock."""
    return f"{abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'}"
