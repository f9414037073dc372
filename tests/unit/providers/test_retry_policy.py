"""When a call is retried."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from llm_relay.core.http_status import is_retryable
from llm_relay.providers.client import MAX_BACKOFF_SECONDS, wait_seconds
from llm_relay.providers.rate_limit.headers import retry_after_seconds


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "0"}, 0),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "1e400"}, None),
        ({"retry-after": "Wed, 99 Foo 2026"}, None),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
        ({}, None),
    ],
)
def test_retry_after_is_read_in_every_form(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_seconds(headers) == seconds


def test_a_date_is_read_as_the_seconds_until_then() -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=300), usegmt=True)
    assert 200 < (retry_after_seconds({"retry-after": date}) or 0) <= 300


def test_the_pause_is_jittered_and_bounded() -> None:
    pauses = [wait_seconds(attempts, {}) for attempts in (1, 2, 3, 9) for _ in range(50)]
    assert min(pauses) >= 0
    assert max(pauses[:50]) <= 0.5
    assert max(pauses) <= MAX_BACKOFF_SECONDS
    assert len(set(pauses)) > 100


def test_the_pause_is_never_shorter_than_retry_after() -> None:
    assert all(wait_seconds(1, {"retry-after": "3"}) >= 3 for _ in range(50))


def test_only_transient_failures_are_retried() -> None:
    retried = [status for status in range(400, 600) if is_retryable(status)]
    assert retried == [408, 409, 429, *range(500, 600)]
