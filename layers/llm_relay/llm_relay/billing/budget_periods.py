"""Budget periods: days and months in UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """A day or a month."""

    name: str  # "2026-11-21" or "2026-11"
    resets_at: str  # when the next one begins, in ISO 8601


def period_at(per: str, now: float) -> Period:
    """Return the "day" or "month" of a Unix time; ValueError for another `per`."""
    day = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if per == "day":
        name, end = f"{day:%Y-%m-%d}", day + timedelta(days=1)
    elif per == "month":
        # Every month is shorter than 32 days.
        name, end = f"{day:%Y-%m}", (day.replace(day=1) + timedelta(days=32)).replace(day=1)
    else:
        raise ValueError(f"a budget is per day or month, not per {per!r}")
    return Period(name=name, resets_at=f"{end:%Y-%m-%dT%H:%M:%SZ}")


def day_at(now: float) -> str:
    """Return the name of the day of a Unix time."""
    return period_at("day", now).name
