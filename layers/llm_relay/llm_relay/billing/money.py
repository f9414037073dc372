"""Money in whole nanodollars, so that sums are exact."""

from __future__ import annotations

import math
from decimal import Decimal

_NANOS_PER_USD = 10**9
_NOISE_DIGITS = 3  # of a nanodollar; smaller fractions are floating-point noise


def nanos_from_usd(usd: float) -> int:
    """Return US dollars in nanodollars, to the nearest."""
    return round(usd * _NANOS_PER_USD)


def nanos_rounded_up(usd: float) -> int:
    """Return the least nanodollars that cover so many US dollars."""
    return math.ceil(round(usd * _NANOS_PER_USD, _NOISE_DIGITS))


def usd_from_nanos(nanos: int) -> float:
    """Return nanodollars in US dollars."""
    return nanos / _NANOS_PER_USD


def format_usd(nanos: int) -> str:
    """Return nanodollars as text: `$0.0125`."""
    text = f"{Decimal(nanos).scaleb(-9):f}"
    return "$" + (text.rstrip("0").rstrip(".") if "." in text else text)
