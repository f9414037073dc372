"""How far two clocks are apart."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime

AWS_SECONDS = 300  # a signature whose time is further off is refused
NEAR_SECONDS = 60


def seconds_apart(date: str | None) -> float | None:
    """Return how far our clock is ahead of a Date header; None without one."""
    try:
        return time.time() - parsedate_to_datetime(date or "").timestamp()
    except ValueError:
        return None


def apart(seconds: float) -> str:
    """Say it in words."""
    return f"{abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'}"
