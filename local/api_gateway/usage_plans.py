"""Usage plans: client keys with their throttles and quotas."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from local.api_gateway.gateway_responses import GatewayError
from local.api_gateway.routes import Throttle

if TYPE_CHECKING:
    from mypy_boto3_apigateway import APIGatewayClient
    from mypy_boto3_apigateway.type_defs import UsagePlanTypeDef

PERIODS: Mapping[str, str] = {"DAY": "%Y-%m-%d", "WEEK": "%G-W%V", "MONTH": "%Y-%m"}


class Bucket:
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
    bucket: Bucket | None = None
    used: dict[str, int] = field(default_factory=dict)

    def count(self) -> None:
        """Count a request; GatewayError if it exceeds a limit."""
        if self.plan.throttle:
            self.bucket = self.bucket or Bucket(self.plan.throttle, self.clock)
            self.bucket.take()
        if self.plan.quota is not None:
            now = datetime.fromtimestamp(self.clock(), UTC)
            period = now.strftime(PERIODS[self.plan.period])
            if self.used.get(period, 0) >= self.plan.quota:
                raise GatewayError("QUOTA_EXCEEDED")
            self.used = {period: self.used.get(period, 0) + 1}


class ClientKeys:
    """The current keys of the API's usage plans in API Gateway (moto).

    `changes` counts API Gateway's changes; keys are read again when it grows.
    """

    def __init__(
        self,
        client: "APIGatewayClient",
        api_id: str,
        changes: Callable[[], int],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client, self._api_id, self._changes, self._clock = client, api_id, changes, clock
        self._keys: dict[str, ClientKey] = {}
        self._read_at_change = -1
        self._reading = asyncio.Lock()

    async def find(self, value: str) -> ClientKey:
        """Return the key with a value; GatewayError if it is on no plan."""
        if self._changes() != self._read_at_change:
            await self._refresh()
        if value not in self._keys:
            raise GatewayError("INVALID_API_KEY")
        return self._keys[value]

    async def _refresh(self) -> None:
        async with self._reading:
            change = self._changes()  # before reading: what comes meanwhile is read next time
            if change != self._read_at_change:
                found = await asyncio.to_thread(self._read)
                self._keys = {
                    value: carry_over_usage(self._keys.get(value), key)
                    for value, key in found.items()
                }
                self._read_at_change = change

    def _read(self) -> dict[str, ClientKey]:
        enabled = {key["id"] for key in self._client.get_api_keys()["items"] if key["enabled"]}
        keys = {}
        for item in self._client.get_usage_plans()["items"]:
            if self._api_id not in {stage.get("apiId") for stage in item.get("apiStages", [])}:
                continue
            plan = read_plan(item)
            for key in self._client.get_usage_plan_keys(usagePlanId=item["id"])["items"]:
                if key["id"] in enabled:
                    keys[key["value"]] = ClientKey(id=key["id"], plan=plan, clock=self._clock)
        return keys


def carry_over_usage(known: ClientKey | None, found: ClientKey) -> ClientKey:
    """Return the known key with its usage, unless the key or its plan has changed."""
    if known is None or known.id != found.id:
        return found
    if known.plan != found.plan:
        known.plan, known.bucket = found.plan, None
    return known


def read_plan(item: "UsagePlanTypeDef") -> Plan:
    """Read a usage plan from API Gateway's description."""
    throttle, quota = item.get("throttle"), item.get("quota")
    return Plan(
        throttle=Throttle(rate=throttle["rateLimit"], burst=throttle["burstLimit"])
        if throttle
        else None,
        quota=quota["limit"] if quota else None,
        period=quota["period"] if quota else "DAY",
    )
