"""Credits and rate limits while the server runs."""

import math
import time
from collections.abc import MutableMapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import formatdate

from local.provider_simulator.wire import Json

WINDOW_SECONDS = 60
# Reported when no limit is configured: too high to be reached.
UNLIMITED_REQUESTS = 1_000_000
UNLIMITED_TOKENS = 1_000_000_000
STARTING_CREDITS = 1_000_000
USD_PER_TOKEN = 5e-6
TOKENS_PER_CREDIT = 500
TOO_MANY = 429
DATE_IN_SECONDS = 2


@dataclass(slots=True)
class CreditPool:
    """The remaining credits of a group of calls."""

    credits: int = STARTING_CREDITS

    def spend(self, tokens: int) -> Json:
        """Subtract the price of tokens; return the provider's credit fields."""
        used = max(1, math.ceil(tokens / TOKENS_PER_CREDIT))
        self.credits = max(0, self.credits - used)
        return {
            "remaining_credits": self.credits,
            "estimated_credits_used": used,
            "estimated_cost_usd": round(tokens * USD_PER_TOKEN, 9),
        }


@dataclass(slots=True)
class RateWindow:
    """The requests and tokens of one minute; `ends_at` is in seconds since the epoch."""

    ends_at: float
    limit: int = 0
    requests: int = 0
    tokens: int = 0

    def is_exceeded(self) -> bool:
        """Return whether the requests exceed the limit; 0 is unlimited."""
        return 0 < self.limit < self.requests

    def headers(self) -> dict[str, str]:
        """Return the rate limit headers."""
        reset = datetime.fromtimestamp(self.ends_at, UTC).isoformat(timespec="seconds")
        limit = self.limit or UNLIMITED_REQUESTS
        return {
            "x-ratelimit-limit-requests": str(limit),
            "x-ratelimit-remaining-requests": str(max(0, limit - self.requests)),
            "x-ratelimit-limit-tokens": str(UNLIMITED_TOKENS),
            "x-ratelimit-remaining-tokens": str(max(0, UNLIMITED_TOKENS - self.tokens)),
            "x-ratelimit-reset-requests": reset.replace("+00:00", "Z"),
        }

    def retry_after(self, status: int, value: str) -> dict[str, str]:
        """Return the Retry-After header of an error, which the switch `retry-after` may omit."""
        if value == "missing" or (value == "auto" and status != TOO_MANY):
            return {}
        if value == "date":
            value = formatdate(time.time() + DATE_IN_SECONDS, usegmt=True)
        if value == "auto":
            seconds_left = math.ceil(self.ends_at - time.time())
            value = str(max(1, seconds_left) if self.is_exceeded() else 1)
        return {"Retry-After": value}


def count_request(windows: MutableMapping[str, RateWindow], name: str, limit: int) -> RateWindow:
    """Count one request in its current window, and return the window."""
    now = time.time()
    window = windows.get(name)
    if window is None or window.ends_at <= now:
        window = windows[name] = RateWindow(now + WINDOW_SECONDS)
    window.limit = limit
    window.requests += 1
    return window
