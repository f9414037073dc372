"""How long to wait before the provider is called again."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

FIRST_BACKOFF_SECONDS = 0.5
MAX_BACKOFF_SECONDS = 8.0


def wait_seconds(attempts: int, headers: Mapping[str, str]) -> float:
    """Return the pause after that many attempts: full jitter, but at least Retry-After."""
    ceiling = min(MAX_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2 ** (attempts - 1))
    jitter = random.uniform(0, ceiling)  # noqa: S311 - spreads callers, guards nothing
    return max(jitter, retry_after_seconds(headers) or 0.0)


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """Read Retry-After in any of its forms; None if it is absent or invalid."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    seconds = _number(value)
    return seconds if seconds is not None else _seconds_until(value)


def _number(value: str | None) -> float | None:
    try:
        number = float(value or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _seconds_until(date: str | None) -> float | None:
    try:
        return max(0.0, parsedate_to_datetime(date or "").timestamp() - time.time())
    except (ValueError, OverflowError):
        return None
