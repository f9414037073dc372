"""What the batch worker makes of failures."""

from __future__ import annotations

from typing import Any

import pytest

from llm_relay.batch.worker.chunk_task import OUT_OF_TIME, Row, StopReason
from llm_relay.batch.worker.retry_policy import (
    DOWN_AFTER,
    MAX_ROW_ATTEMPTS,
    FailureClass,
    RetryPolicy,
    classify_failure,
)
from llm_relay.core.errors import (
    BadRequest,
    BudgetExceeded,
    InternalError,
    ProviderError,
    ProviderKeyMissing,
    ProviderKeyRejected,
    RelayError,
    UpstreamFailed,
    UpstreamTimedOut,
    UpstreamUnreachable,
)


def refused(status: int, **headers: str) -> ProviderError:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return ProviderError(status, {"message": "no"}, named)


def row(number: int = 0, **more: Any) -> Row:
    return Row(row=number, custom_id="r", model="m", bytes=1, max_cost_nanos=0, **more)


@pytest.mark.parametrize(
    ("failure", "failure_class"),
    [
        (refused(400), FailureClass.FINAL),
        (refused(403), FailureClass.FINAL),
        (refused(422), FailureClass.FINAL),
        (refused(500, x_should_retry="false"), FailureClass.FINAL),
        (BadRequest("no"), FailureClass.FINAL),
        (UpstreamFailed("no"), FailureClass.FINAL),
        (UpstreamTimedOut("no"), FailureClass.FINAL),
        (InternalError("no"), FailureClass.FINAL),
        (refused(408), FailureClass.ROW),
        (refused(409), FailureClass.ROW),
        (refused(500), FailureClass.ROW),
        (refused(503), FailureClass.ROW),
        (refused(429), FailureClass.LOAD),
        (refused(402), FailureClass.PROVIDER),
        (UpstreamUnreachable("no"), FailureClass.PROVIDER),
        (ProviderKeyMissing("no"), FailureClass.PROVIDER),
        (ProviderKeyRejected("no"), FailureClass.PROVIDER),
    ],
)
def test_each_failure_has_its_class(failure: RelayError, failure_class: FailureClass) -> None:
    assert classify_failure(failure) is failure_class


def test_rate_limits_never_count_against_a_row() -> None:
    policy, limited = RetryPolicy(0), row()
    for _ in range(100):
        assert not policy.on_failure(limited, refused(429, retry_after="0")).is_final
        policy.on_success()
    assert limited.failures == 0


def test_consecutive_failures_of_different_rows_are_attributed_to_the_provider() -> None:
    policy = RetryPolicy(0)
    decisions = [policy.on_failure(row(number), refused(503)) for number in range(DOWN_AFTER)]
    assert [bool(each.stop) for each in decisions] == [False] * (DOWN_AFTER - 1) + [True]
    assert not any(each.is_final for each in decisions)


def test_an_answer_or_a_final_refusal_shows_that_the_provider_is_available() -> None:
    policy = RetryPolicy(0)
    for number in range(0, 10 * DOWN_AFTER, 2):
        assert not policy.on_failure(row(number), refused(503)).stop
        if number % 20 == 0:
            policy.on_success()
        if number % 20 == 10:
            assert policy.on_failure(row(number + 1), refused(400)).is_final


def test_a_few_repeatedly_refused_rows_do_not_mark_the_provider_down() -> None:
    policy, bad = RetryPolicy(0), [row(number) for number in range(10)]
    for attempt in range(MAX_ROW_ATTEMPTS):
        for each in bad:
            decision = policy.on_failure(each, refused(500))
            assert not decision.stop or attempt == MAX_ROW_ATTEMPTS - 1


def test_a_row_is_given_up_if_others_were_answered_meanwhile() -> None:
    policy, bad = RetryPolicy(0), row()
    for _ in range(MAX_ROW_ATTEMPTS - 1):
        assert not policy.on_failure(bad, refused(500)).is_final
    policy.on_success()
    assert policy.on_failure(bad, refused(500)).is_final


def test_a_long_retry_after_of_a_failing_provider_is_respected() -> None:
    policy = RetryPolicy(0)
    for number in range(DOWN_AFTER - 1):
        policy.on_failure(row(number), refused(503))
    stop = policy.on_failure(row(99), refused(503, retry_after="120")).stop
    assert stop
    assert stop.wait_seconds == 120


@pytest.mark.parametrize(("seconds", "is_handed_out"), [("5", False), ("6", True)])
def test_a_long_retry_after_is_returned(seconds: str, is_handed_out: bool) -> None:
    decision = RetryPolicy(0).on_failure(row(), refused(429, retry_after=seconds))
    assert bool(decision.stop) == is_handed_out
    assert (decision.pause_seconds >= 5) != is_handed_out


def test_after_too_many_idle_invocations_everything_is_given_up() -> None:
    stop = RetryPolicy(20).on_failure(row(), refused(429, retry_after="60")).stop
    assert stop
    assert stop.gives_up


def test_nothing_is_given_up_while_rows_are_answered() -> None:
    policy = RetryPolicy(20)
    policy.on_success()
    stop = policy.on_failure(row(), refused(429, retry_after="60")).stop
    assert stop == StopReason(reason="rate_limited", wait_seconds=60)


def test_an_answer_after_giving_up_reverses_the_decision() -> None:
    policy = RetryPolicy(20)
    stop = policy.on_failure(row(), refused(429, retry_after="60")).stop
    policy.on_success()
    assert stop
    assert stop.gives_up
    assert policy.final_reason(stop) == StopReason(reason="provider_down", wait_seconds=60)


@pytest.mark.parametrize(("silent_invocations", "seconds"), [(0, 6), (1, 30), (3, 120), (19, 900)])
def test_an_ineffective_retry_after_is_extended(silent_invocations: int, seconds: int) -> None:
    stop = RetryPolicy(silent_invocations).on_failure(row(), refused(429, retry_after="6")).stop
    assert stop == StopReason(reason="rate_limited", wait_seconds=seconds)


def test_reservations_of_others_are_waited_for_without_a_limit() -> None:
    waits = [
        RetryPolicy(silent_invocations).wait("budget", 30, BudgetExceeded("no"))
        for silent_invocations in (0, 3, 5000)
    ]
    assert [wait.wait_seconds for wait in waits] == [30, 120, 900]
    assert not any(wait.gives_up for wait in waits)


@pytest.mark.parametrize(
    ("failure", "responded"),
    [
        (refused(400), True),
        (refused(503), False),
        (refused(429), False),
        (UpstreamFailed("no"), False),
        (UpstreamTimedOut("no"), False),
        (BadRequest("no"), False),
    ],
)
def test_a_final_refusal_counts_as_a_response_of_the_provider(
    failure: RelayError, responded: bool
) -> None:
    policy = RetryPolicy(0)
    policy.on_failure(row(), failure)
    assert policy.provider_responded == responded


def test_the_worker_waits_after_time_without_an_answer() -> None:
    policy = RetryPolicy(2)
    assert policy.final_reason(OUT_OF_TIME) == OUT_OF_TIME  # nothing was asked
    policy.on_failure(row(), UpstreamTimedOut("no"))
    assert policy.final_reason(OUT_OF_TIME) == StopReason(reason="provider_down", wait_seconds=60)
    assert policy.final_reason(None) is None
    policy.on_success()
    assert policy.final_reason(OUT_OF_TIME) == OUT_OF_TIME


def test_a_missing_key_stops_the_worker_at_once() -> None:
    stop = RetryPolicy(2).on_failure(row(), ProviderKeyMissing("no")).stop
    assert stop
    assert stop.wait_seconds == 60
