"""Count credits and rate limits while the server runs, and report them in headers."""

import math
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import formatdate

from local.provider_simulator.errors import ProviderError
from local.provider_simulator.switches import Switches
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """The cost of one answer, and the remaining credits."""

    credits_left: int
    credits_used: int
    usd: float

    def fields(self) -> Json:
        """Return the provider's credit fields."""
        return {
            "remaining_credits": self.credits_left,
            "estimated_credits_used": self.credits_used,
            "estimated_cost_usd": self.usd,
        }


@dataclass(slots=True)
class CreditBalance:
    """Remaining credits by pool name."""

    _pools: dict[str, int] = field(default_factory=dict)

    def check(self, pool: str, start: int) -> None:
        """Raise a 402 if the pool is empty."""
        if self._pools.setdefault(pool, start) <= 0:
            raise ProviderError(402)

    def spend(self, pool: str, tokens: int) -> Charge:
        """Subtract the price of tokens from the pool; return the charge."""
        used = max(1, math.ceil(tokens / TOKENS_PER_CREDIT))
        self._pools[pool] = max(0, self._pools[pool] - used)
        usd = round(tokens * USD_PER_TOKEN, 9)
        return Charge(credits_left=self._pools[pool], credits_used=used, usd=usd)


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

    def seconds_left(self) -> int:
        """Return the seconds until the window ends, at least one."""
        return max(1, math.ceil(self.ends_at - time.time()))


@dataclass(slots=True)
class RateWindows:
    """Rate windows by name."""

    _windows: dict[str, RateWindow] = field(default_factory=dict)

    def count_request(self, name: str, limit: int) -> RateWindow:
        """Count one request and return its window."""
        now = time.time()
        window = self._windows.get(name)
        if window is None or window.ends_at <= now:
            window = self._windows[name] = RateWindow(now + WINDOW_SECONDS)
        window.limit = limit
        window.requests += 1
        return window


def answer_headers(number: int, switches: Switches, window: RateWindow) -> dict[str, str]:
    """Return the request id and the rate limit headers."""
    name = switches["request-id"]
    identifier = {} if name == "none" else {name: f"req_sim{number:06d}"}
    return {**identifier, **window.headers()}


def retry_after(status: int, switches: Switches, window: RateWindow) -> dict[str, str]:
    """Return the Retry-After header of an error, or an empty dictionary."""
    value = switches["retry-after"]
    if value == "missing" or (value == "auto" and status != TOO_MANY):
        return {}
    if value == "date":
        value = formatdate(time.time() + DATE_IN_SECONDS, usegmt=True)
    if value == "auto":
        value = str(window.seconds_left() if window.is_exceeded() else 1)
    return {"Retry-After": value}
