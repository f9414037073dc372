"""Credits and rate limits, counted for as long as the server runs."""

import math
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

from local.provider_simulator.errors import ProviderError
from local.provider_simulator.wire import Json

WINDOW_SECONDS = 60
# Limits without a configured value: high enough never to bind.
LISTED_REQUESTS = 1_000_000
LISTED_TOKENS = 1_000_000_000
STARTING_CREDITS = 1_000_000
USD_PER_TOKEN = 5e-6
TOKENS_PER_CREDIT = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """What one answer cost and what is left."""

    credits_left: int
    credits_used: int
    usd: float

    def fields(self) -> Json:
        """Return the provider's extra fields."""
        return {
            "remaining_credits": self.credits_left,
            "estimated_credits_used": self.credits_used,
            "estimated_cost_usd": self.usd,
        }


@dataclass(slots=True)
class CreditBalance:
    """Credits that run down, one pool per name."""

    _pools: dict[str, int] = field(default_factory=dict)

    def check(self, pool: str, start: int) -> None:
        """Raise a 402 if the pool is empty."""
        if self._pools.setdefault(pool, start) <= 0:
            raise ProviderError(402)

    def spend(self, pool: str, tokens: int) -> Charge:
        """Take the price of *tokens* out of the pool."""
        used = max(1, math.ceil(tokens / TOKENS_PER_CREDIT))
        self._pools[pool] = max(0, self._pools[pool] - used)
        usd = round(tokens * USD_PER_TOKEN, 9)
        return Charge(credits_left=self._pools[pool], credits_used=used, usd=usd)


@dataclass(slots=True)
class Window:
    """The requests and tokens of one minute; it ends at a time in seconds since the epoch."""

    ends_at: float
    limit: int = 0
    requests: int = 0
    tokens: int = 0

    def is_over(self) -> bool:
        """Tell whether more requests came than the limit allows; 0 allows any number."""
        return 0 < self.limit < self.requests

    def headers(self) -> dict[str, str]:
        """Return the rate limit headers of every answer."""
        reset = datetime.fromtimestamp(self.ends_at, UTC).isoformat(timespec="seconds")
        limit = self.limit or LISTED_REQUESTS
        return {
            "x-ratelimit-limit-requests": str(limit),
            "x-ratelimit-remaining-requests": str(max(0, limit - self.requests)),
            "x-ratelimit-limit-tokens": str(LISTED_TOKENS),
            "x-ratelimit-remaining-tokens": str(max(0, LISTED_TOKENS - self.tokens)),
            "x-ratelimit-reset-requests": reset.replace("+00:00", "Z"),
        }

    def seconds_left(self) -> int:
        """Return the whole seconds until the window ends, at least one."""
        return max(1, math.ceil(self.ends_at - time.time()))


@dataclass(slots=True)
class Windows:
    """A rate window per name."""

    _windows: dict[str, Window] = field(default_factory=dict)

    def enter(self, name: str, limit: int) -> Window:
        """Count one request and return its window."""
        now = time.time()
        window = self._windows.get(name)
        if window is None or window.ends_at <= now:
            window = self._windows[name] = Window(now + WINDOW_SECONDS)
        window.limit = limit
        window.requests += 1
        return window
