"""The days and months of a budget, in UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_ANY_MONTH = timedelta(days=32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """A day or a month."""

    name: str  # "2026-11-21" or "2026-11"
    ends_at: datetime

    @property
    def resets_at(self) -> str:
        """The moment at which the next one begins, as callers are told it."""
        return self.ends_at.strftime("%Y-%m-%dT%H:%M:%SZ")


def period_at(per: str, now: float) -> Period:
    """Return the "day" or "month" that a time in seconds since the epoch falls in."""
    day = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if per == "day":
        return Period(name=f"{day:%Y-%m-%d}", ends_at=day + timedelta(days=1))
    if per == "month":
        next_month = (day.replace(day=1) + _ANY_MONTH).replace(day=1)
        return Period(name=f"{day:%Y-%m}", ends_at=next_month)
    raise ValueError(f"a budget is per day or month, not per {per!r}")


def day_at(now: float) -> str:
    """Return the day that a time in seconds since the epoch falls in."""
    return period_at("day", now).name
