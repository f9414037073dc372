"""What is read of a provider's rate-limit headers."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from llm_relay.providers.rate_limit.headers import RateLimitStatus, parse_rate_limit


def headers(reset: str = "30", **more: object) -> dict[str, str]:
    limits = {"limit-requests": 100, "remaining-requests": 40, "reset-requests": reset}
    named = {name.replace("_", "-"): value for name, value in more.items()}
    return {f"x-ratelimit-{name}": str(value) for name, value in (limits | named).items()}


def remaining(status: RateLimitStatus | None) -> int:
    assert status
    return status.remaining


@pytest.mark.parametrize(
    ("reset", "seconds"),
    [("12ms", 0.012), ("6.5s", 6.5), ("1m30s", 90), ("2m0s", 120), ("7", 7), ("0.5", 0.5)],
)
def test_a_reset_may_be_a_duration(reset: str, seconds: float) -> None:
    status = parse_rate_limit(200, headers(reset))
    assert status
    assert (status.remaining, status.limit) == (40, 100)
    assert status.reset_seconds == pytest.approx(seconds)


@pytest.mark.parametrize("form", ["iso", "epoch"])
def test_a_reset_may_be_a_date(form: str) -> None:
    at = time.time() + 30
    date = datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")
    status = parse_rate_limit(200, headers(date if form == "iso" else str(at)))
    assert status
    assert status.reset_seconds == pytest.approx(30, abs=5)


@pytest.mark.parametrize(
    "reset",
    ["", "soon", "-5", "nan", "inf", "1e999", "3m", "1h", "5 s", "2020-01-01T00:00:00Z", "T", "٣s"]
    + ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "9" * 400, "1s" * 5000, "0"],
)
def test_a_past_distant_or_invalid_reset_is_ignored(reset: str) -> None:
    assert parse_rate_limit(200, headers(reset)) is None


@pytest.mark.parametrize("count", ["", "-1", "many", "4e1", "٤", "9" * 16, "1.0"])
def test_invalid_count_is_ignored(count: str) -> None:
    assert parse_rate_limit(200, headers(remaining_requests=count)) is None
    status = parse_rate_limit(200, headers(limit_requests=count))
    assert status
    assert status.limit is None


def test_remaining_tokens_apply_where_they_run_out_before_the_requests() -> None:
    # 60 requests took 9,000 tokens: 1,000 more are enough for 6, and all 10,000 for 66.
    scarce = headers(remaining_tokens=1000, limit_tokens=10_000)
    assert parse_rate_limit(200, scarce) == RateLimitStatus(6, 66, 30)
    assert parse_rate_limit(200, scarce | {"x-ratelimit-reset-tokens": "9s"}) == RateLimitStatus(
        6, 66, 9
    )
    assert (
        remaining(parse_rate_limit(200, headers(remaining_tokens=9000, limit_tokens=10_000))) == 40
    )
    assert remaining(parse_rate_limit(200, headers(remaining_tokens=0, limit_tokens=0))) == 40
    fresh = headers(remaining_requests=100, remaining_tokens=1, limit_tokens=10_000)
    assert remaining(parse_rate_limit(200, fresh)) == 100


def test_a_refusal_leaves_nothing_until_its_retry_after_or_the_reset() -> None:
    assert parse_rate_limit(429, {"retry-after": "7"}) == RateLimitStatus(0, None, 7)
    assert parse_rate_limit(429, headers() | {"retry-after-ms": "700"}) == RateLimitStatus(
        0, None, 0.7
    )
    assert parse_rate_limit(429, headers("9s")) == RateLimitStatus(0, None, 9)


@pytest.mark.parametrize("seconds", ["300", "1e300", "nan", "", "-1", "0"])
def test_a_refusal_without_a_plausible_end_is_ignored(seconds: str) -> None:
    assert parse_rate_limit(429, {"retry-after": seconds}) is None
