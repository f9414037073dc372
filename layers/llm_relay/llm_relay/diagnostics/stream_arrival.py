"""Whether a stream came in pieces, or held back and then all at once."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

TELLING_SECONDS = 0.5  # a quicker answer came at once because it was made at once
# Between the first piece and the last of what was held back: a share of the whole, and no more than
# the quickest providers take for a few words.
LARGEST_SHARE = 0.05
LARGEST_SPREAD_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """When the first and the last piece came, counted from the question."""

    first_seconds: float
    last_seconds: float

    @property
    def spread_seconds(self) -> float:
        """The time from the first piece to the last."""
        return self.last_seconds - self.first_seconds

    @property
    def was_held_back(self) -> bool:
        """Whether a long wait was followed by everything at once."""
        largest = min(LARGEST_SHARE * self.last_seconds, LARGEST_SPREAD_SECONDS)
        return self.last_seconds >= TELLING_SECONDS and self.spread_seconds < largest

    def __str__(self) -> str:
        """Say how long it took."""
        first, last = (round(1000 * each) for each in (self.first_seconds, self.last_seconds))
        return f"first piece after {first} ms, last after {last} ms"


def arrival_of(pieces: Iterable[bytes], started: float) -> Arrival | None:
    """Time the pieces that carry events; None if none does. `started` is of time.monotonic."""
    moments = [time.monotonic() for piece in pieces if b"data:" in piece]
    if not moments:
        return None
    return Arrival(first_seconds=moments[0] - started, last_seconds=moments[-1] - started)
