"""Usage plans: client keys with their throttles and quotas."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from local.api_gateway.gateway_responses import GatewayError
from local.api_gateway.routes import Throttle

PERIODS: Mapping[str, str] = {"DAY": "%Y-%m-%d", "WEEK": "%G-W%V", "MONTH": "%Y-%m"}


class TokenBucket:
    """A token bucket, initially full."""

    def __init__(self, throttle: Throttle, clock: Callable[[], float] = time.monotonic) -> None:
        self._throttle, self._clock = throttle, clock
        self._tokens = float(throttle.burst)
        self._at = clock()

    def take(self) -> None:
        """Take a token; GatewayError if there is none."""
        now = self._clock()
        refilled = self._tokens + (now - self._at) * self._throttle.rate
        self._tokens, self._at = min(refilled, self._throttle.burst), now
        if self._tokens < 1:
            raise GatewayError("THROTTLED")
        self._tokens -= 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Limits of a usage plan."""

    throttle: Throttle | None
    quota: int | None
    period: str


@dataclass(slots=True, kw_only=True)
class ClientKey:
    """A client key and its usage."""

    id: str
    plan: Plan
    clock: Callable[[], float] = time.time
    bucket: TokenBucket | None = None
    used: dict[str, int] = field(default_factory=dict)

    def count(self) -> None:
        """Count a request; GatewayError if it exceeds a limit."""
        if self.plan.throttle:
            self.bucket = self.bucket or TokenBucket(self.plan.throttle, self.clock)
            self.bucket.take()
        if self.plan.quota is not None:
            now = datetime.fromtimestamp(self.clock(), UTC)
            period = now.strftime(PERIODS[self.plan.period])
            if self.used.get(period, 0) >= self.plan.quota:
                raise GatewayError("QUOTA_EXCEEDED")
            self.used = {period: self.used.get(period, 0) + 1}


class ClientKeys:
    """The keys of an API's usage plans, as they are in moto's API Gateway."""

    def __init__(self, api_gateway: Any, api_id: str) -> None:
        self._moto, self._api_id = api_gateway, api_id
        self._known: dict[str, ClientKey] = {}

    def find(self, value: str) -> ClientKey:
        """Return the enabled key with a value; GatewayError if it is on no plan."""
        for key in list(self._moto.keys.values()):
            if key.enabled and key.value == value and (plan := self._plan_of(key.id)):
                return self._with_usage(key.id, plan)
        raise GatewayError("INVALID_API_KEY")

    def _plan_of(self, key_id: str) -> Plan | None:
        for plan in list(self._moto.usage_plans.values()):
            has_key = key_id in self._moto.usage_plan_keys.get(plan.id, {})
            if has_key and self._api_id in {stage.get("apiId") for stage in plan.api_stages}:
                return read_plan(plan)
        return None

    def _with_usage(self, key_id: str, plan: Plan) -> ClientKey:
        key = self._known.setdefault(key_id, ClientKey(id=key_id, plan=plan))
        if key.plan != plan:
            key.plan, key.bucket = plan, None
        return key


def read_plan(plan: Any) -> Plan:
    """Read a usage plan of moto."""
    rate, limit = plan.throttle.get("rateLimit"), plan.quota.get("limit")
    return Plan(
        throttle=Throttle(rate=rate, burst=plan.throttle["burstLimit"])
        if rate is not None
        else None,
        quota=None if limit is None else int(limit),  # a string after UpdateUsagePlan
        period=plan.quota.get("period", "DAY"),
    )
