"""Money in whole nanodollars."""

from __future__ import annotations

import pytest

from llm_relay.billing.money import format_usd, nanos_from_usd, nanos_rounded_up, usd_from_nanos


@pytest.mark.parametrize(
    ("usd", "nanos"), [(0.00015, 150_000), (0.1 + 0.2, 300_000_000), (4e-10, 0), (6e-10, 1)]
)
def test_dollars_become_the_nearest_nanodollars(usd: float, nanos: int) -> None:
    assert nanos_from_usd(usd) == nanos


@pytest.mark.parametrize(
    ("usd", "nanos"), [(0.1 + 0.2, 300_000_000), (1.2e-9, 2), (5e-6 * 3, 15_000), (0.0, 0)]
)
def test_a_maximum_cost_is_rounded_up_without_floating_point_noise(usd: float, nanos: int) -> None:
    assert nanos_rounded_up(usd) == nanos


def test_nanodollars_survive_a_round_trip() -> None:
    assert nanos_from_usd(usd_from_nanos(123_456_789_012)) == 123_456_789_012


@pytest.mark.parametrize(
    ("nanos", "text"),
    [(5 * 10**9, "$5"), (12_500_000, "$0.0125"), (0, "$0"), (1, "$0.000000001"), (10**10, "$10")],
)
def test_dollars_are_formatted_without_trailing_zeros(nanos: int, text: str) -> None:
    assert format_usd(nanos) == text
