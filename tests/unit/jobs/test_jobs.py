"""Jobs: which failures are temporary, how long to wait, what a response shows."""

from __future__ import annotations

import pytest

from llm_relay.aws.s3 import Bucket
from llm_relay.core.answer import HttpAnswer, error_answer
from llm_relay.core.errors import (
    BudgetExceeded,
    InternalError,
    LedgerUnavailable,
    ProviderKeyMissing,
    ProviderKeyRejected,
    RelayError,
    UpstreamFailed,
    UpstreamTimedOut,
    UpstreamUnreachable,
)
from llm_relay.jobs.job import MAX_BACKOFF_SECONDS, backoff_seconds, is_temporary
from llm_relay.jobs.job_types import QueueJob
from llm_relay.jobs.response_store import shown_document


@pytest.mark.parametrize("status", [408, 409, 429, 500, 503])
def test_refusals_that_sdks_retry_are_temporary(status: int) -> None:
    assert is_temporary(HttpAnswer(status=status, body=[]))
    assert not is_temporary(HttpAnswer(status=status, headers={"x-should-retry": "false"}, body=[]))


@pytest.mark.parametrize("status", [200, 400, 401, 402, 403, 404, 413, 422])
def test_other_answers_are_final(status: int) -> None:
    assert not is_temporary(HttpAnswer(status=status, body=[]))


@pytest.mark.parametrize(
    "kind", [UpstreamUnreachable, ProviderKeyMissing, ProviderKeyRejected, LedgerUnavailable]
)
def test_unsent_calls_are_temporary_failures(kind: type[RelayError]) -> None:
    assert is_temporary(error_answer(kind("x"), {}))


@pytest.mark.parametrize("kind", [UpstreamFailed, UpstreamTimedOut, InternalError, BudgetExceeded])
def test_possibly_billed_or_denied_calls_are_final(kind: type[RelayError]) -> None:
    assert not is_temporary(error_answer(kind("x"), {}))


def test_pauses_grow_up_to_a_quarter_of_an_hour() -> None:
    for deliveries in range(1, 2000):
        longest = min(MAX_BACKOFF_SECONDS, 15 * 2.0 ** min(deliveries - 1, 20))
        assert longest / 2 <= backoff_seconds(deliveries) <= longest


def shown(status: str) -> dict[str, object]:
    stored = {"status": "completed", "output": [1], "usage": {}, "model": "m"}
    return shown_document(stored, status)


def test_a_response_includes_its_answer_once_it_has_ended() -> None:
    assert shown("completed") == {"status": "completed", "output": [1], "usage": {}, "model": "m"}
    for status in ("queued", "in_progress", "cancelled"):
        document = shown(status)
        assert (document["status"], document["output"], document["usage"]) == (status, [], None)


def test_the_same_question_in_another_order_is_the_same_job() -> None:
    bucket = Bucket("b")
    one, other = (
        QueueJob(message, "m", bucket) for message in ({"id": "a", "url": 1}, {"url": 1, "id": "a"})
    )
    assert one.digest == other.digest
    assert one.digest != QueueJob({"id": "a", "url": 2}, "m", bucket).digest
