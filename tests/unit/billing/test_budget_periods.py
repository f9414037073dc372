"""Days and months, in UTC."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from llm_relay.billing.ledger_account import day_at, period_at


@pytest.mark.parametrize(
    ("per", "moment", "name", "end"),
    [
        ("day", (2026, 11, 21, 0, 0, 0), "2026-11-21", "2026-11-22T00:00:00Z"),
        ("day", (2026, 12, 31, 23, 59, 59), "2026-12-31", "2027-01-01T00:00:00Z"),
        ("month", (2026, 11, 30, 23, 59, 59), "2026-11", "2026-12-01T00:00:00Z"),
        ("month", (2026, 12, 1, 0, 0, 0), "2026-12", "2027-01-01T00:00:00Z"),
        ("month", (2028, 1, 31, 12, 0, 0), "2028-01", "2028-02-01T00:00:00Z"),
    ],
)
def test_a_period_has_a_name_and_an_end(
    per: str, moment: tuple[int, int, int, int, int, int], name: str, end: str
) -> None:
    period = period_at(per, datetime(*moment, tzinfo=UTC).timestamp())
    assert (period.name, period.resets_at) == (name, end)


def test_an_unknown_period_is_an_internal_error() -> None:
    with pytest.raises(ValueError, match="per day or month"):
        period_at("week", 0)


def test_a_day_is_in_utc() -> None:
    assert day_at(86_399) == "1970-01-01"
