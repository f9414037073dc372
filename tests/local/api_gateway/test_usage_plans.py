"""Throttles and quotas by a clock that the test holds."""

import pytest

from local.api_gateway.gateway_responses import GatewayError
from local.api_gateway.routes import Throttle
from local.api_gateway.usage_plans import ClientKey, Plan, TokenBucket

NOON = 1_700_000_000.0 - 1_700_000_000.0 % 86_400 + 43_200


class Clock:
    def __init__(self, now: float = NOON) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def taken(bucket: TokenBucket) -> int:
    for count in range(1000):
        try:
            bucket.take()
        except GatewayError as refused:
            assert refused.kind == "THROTTLED"
            return count
    return 1000


def test_a_burst_passes_and_no_more() -> None:
    assert taken(TokenBucket(Throttle(rate=1, burst=5), Clock())) == 5


def test_a_bucket_refills_at_its_rate_up_to_its_burst() -> None:
    clock = Clock()
    bucket = TokenBucket(Throttle(rate=2, burst=5), clock)
    taken(bucket)
    clock.now += 1.5
    assert taken(bucket) == 3
    clock.now += 3600
    assert taken(bucket) == 5


@pytest.mark.parametrize(("period", "days"), [("DAY", 1), ("WEEK", 7), ("MONTH", 31)])
def test_a_quota_is_reset_in_the_next_period(period: str, days: int) -> None:
    clock = Clock()
    key = ClientKey(id="k", plan=Plan(throttle=None, quota=2, period=period), clock=clock)
    key.count()
    key.count()
    with pytest.raises(GatewayError, match="QUOTA_EXCEEDED"):
        key.count()
    clock.now += days * 86_400
    key.count()


def test_a_throttled_request_does_not_use_up_the_quota() -> None:
    plan = Plan(throttle=Throttle(rate=1, burst=1), quota=2, period="DAY")
    clock = Clock()
    key = ClientKey(id="k", plan=plan, clock=clock)
    key.count()
    with pytest.raises(GatewayError, match="THROTTLED"):
        key.count()
    clock.now += 1
    key.count()
