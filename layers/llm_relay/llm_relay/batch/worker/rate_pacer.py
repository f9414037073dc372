"""When the next row may be asked, so that the provider's rate limit lasts."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from llm_relay.batch.worker.rows import Row

# Rows that were due within that time go out together: whoever takes them does not wake for each.
_TOGETHER_SECONDS = 0.25


class RatePacer:
    """Spreads rows over time; `seconds` tells how much to leave after a row."""

    def __init__(self, seconds: Callable[[Row], float]) -> None:
        self._seconds = seconds
        self.due = float("-inf")

    def taken(self, row: Row, now: float) -> None:
        """Learn that a row is asked."""
        self.due = max(self.due, now - _TOGETHER_SECONDS) + self._seconds(row)
