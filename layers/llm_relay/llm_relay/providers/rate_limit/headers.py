"""Reads a provider's headers about its limits: how long to wait, and how many requests remain."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

MAX_WINDOW_SECONDS = 120.0  # a limit that resets later is a quota, which paces no batch
_EPOCH = 1_000_000_000  # larger numbers of seconds are dates
_NUMBER = re.compile(r"[0-9]{1,15}")
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)")
_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True)
class RateLimitStatus:
    """The requests that remain, the limit they count against, and the seconds until it resets."""

    remaining: int
    limit: int | None
    reset_seconds: float


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """Read Retry-After in any of its forms; None if it is absent or invalid."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    seconds = _number(value)
    return seconds if seconds is not None else _seconds_until(value)


def parse_rate_limit(status: int, headers: Mapping[str, str]) -> RateLimitStatus | None:
    """Return the limit that an answer's headers report; None if they report none."""
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        seconds = retry_after_seconds(headers)
        if seconds is None:
            seconds = _reset(headers, "requests")
        return _plausible(RateLimitStatus(0, None, seconds or 0.0))
    remaining, seconds = _count(headers, "remaining-requests"), _reset(headers, "requests")
    if remaining is None or seconds is None:
        return None
    requests = RateLimitStatus(remaining, _count(headers, "limit-requests"), seconds)
    return _plausible(_by_tokens(requests, headers) or requests)


def _by_tokens(requests: RateLimitStatus, headers: Mapping[str, str]) -> RateLimitStatus | None:
    """Return how many requests of average size the tokens allow, if they run out first."""
    tokens, limit = _count(headers, "remaining-tokens"), _count(headers, "limit-tokens")
    if tokens is None or limit is None or requests.limit is None:
        return None
    sent, used = requests.limit - requests.remaining, limit - tokens
    if sent <= 0 or used <= 0 or tokens * sent >= requests.remaining * used:
        return None
    seconds = _reset(headers, "tokens")
    return RateLimitStatus(
        remaining=tokens * sent // used,
        limit=min(requests.limit, limit * sent // used),
        reset_seconds=requests.reset_seconds if seconds is None else seconds,
    )


def _plausible(status: RateLimitStatus) -> RateLimitStatus | None:
    return status if 0 < status.reset_seconds <= MAX_WINDOW_SECONDS else None


def _count(headers: Mapping[str, str], name: str) -> int | None:
    text = headers.get(f"x-ratelimit-{name}") or ""
    return int(text) if _NUMBER.fullmatch(text) else None


def _reset(headers: Mapping[str, str], what: str) -> float | None:
    """Read a reset in any of its forms: a date, `6m0s`, `12ms`, or seconds, also of the epoch."""
    text = (headers.get(f"x-ratelimit-reset-{what}") or "").strip()
    try:
        if "T" in text:
            return datetime.fromisoformat(text).timestamp() - time.time()
        seconds = float(text)
    except (ValueError, OverflowError):
        return _duration(text)
    return seconds - time.time() if seconds > _EPOCH else seconds


def _duration(text: str) -> float | None:
    parts = _DURATION.findall(text)
    if not parts or _DURATION.sub("", text):
        return None
    return sum(float(number) * _UNIT_SECONDS[unit] for number, unit in parts)


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
