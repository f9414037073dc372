"""Decides after each failure whether to retry the row, and whether the provider is down."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace
from enum import Enum, auto
from http import HTTPStatus

from llm_relay.batch.worker.chunk_task import OUT_OF_TIME, Row, StopReason
from llm_relay.core.errors import (
    POSSIBLY_BILLED,
    DeadlineExceeded,
    ProviderError,
    ProviderKeyMissing,
    ProviderKeyRejected,
    RelayError,
    UpstreamUnreachable,
)
from llm_relay.core.http_status import is_retryable
from llm_relay.providers.rate_limit.headers import retry_after_seconds

MAX_ROW_ATTEMPTS = 5
# Consecutive failures of different rows after which the provider counts as down.
DOWN_AFTER = 20
# Consecutive failures of different rows after which concurrency is reduced.
REDUCE_AFTER = 3
# Step Functions waits out a longer Retry-After, which costs nothing there.
MAX_PAUSE_SECONDS = 5.0
# Silent invocations after which a row that keeps failing is given up.
ROW_SILENT_INVOCATIONS = 3
# Silent invocations after which all rows are given up.
MAX_SILENT_INVOCATIONS = 20

_FIRST_BACKOFF_SECONDS = 0.5
_MAX_BACKOFF_SECONDS = 8.0
_FIRST_WAIT_SECONDS = 15
_MAX_WAIT_SECONDS = 900

# Any other row would fail as well; 402 is about the operator's credits with the provider.
_PROVIDER_FAILURES = (ProviderKeyMissing, ProviderKeyRejected, UpstreamUnreachable)


class FailureClass(Enum):
    """What a failure is about."""

    FINAL = auto()  # a retry would not help, or may be billed twice
    ROW = auto()  # may pass; a row that keeps failing is given up
    LOAD = auto()  # too many rows at once
    PROVIDER = auto()  # no row can be answered now


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryDecision:
    """What to do after a failure."""

    is_final: bool = False
    retry_seconds: float = 0.0
    pause_seconds: float = 0.0  # for all rows
    reduces_concurrency: bool = False
    stop: StopReason | None = None


class RetryPolicy:
    """The policy of one invocation; `silent_invocations` earlier ones in a row got no response."""

    def __init__(self, silent_invocations: int) -> None:
        self._silent_invocations = silent_invocations
        self._successes = 0
        self._consecutive_failures = 0
        self.provider_responded = False  # with an answer or a final error
        self.last_failure: RelayError | None = None

    def on_success(self) -> None:
        """Note an answer."""
        self._successes += 1
        self._on_response()

    def on_failure(self, row: Row, failure: RelayError) -> RetryDecision:
        """Note a failure of a row and return what to do."""
        failure_class = classify_failure(failure)
        if failure_class is FailureClass.FINAL and not isinstance(failure, POSSIBLY_BILLED):
            self._consecutive_failures = 0
            if isinstance(failure, ProviderError):
                self._on_response()
            return RetryDecision(is_final=True)
        self.last_failure = failure
        if failure_class is not FailureClass.ROW or not row.failures:
            self._consecutive_failures += 1
        is_down = self._consecutive_failures >= DOWN_AFTER
        is_down = is_down or isinstance(failure, ProviderKeyMissing)  # looked up again later
        stop = self.provider_down(failure) if is_down else None
        if failure_class is FailureClass.LOAD:
            return replace(self._on_rate_limit(failure, stop), reduces_concurrency=True)
        if failure_class is FailureClass.FINAL:
            decision = RetryDecision(is_final=True, stop=stop)
        else:
            decision = self._on_temporary_failure(row, failure, stop)
        is_streak = self._consecutive_failures >= REDUCE_AFTER
        return replace(decision, reduces_concurrency=is_streak)

    def provider_down(self, failure: RelayError) -> StopReason:
        """Return the stop for a provider that answers no row."""
        self.last_failure = failure
        return self._stop("provider_down", max(self._backoff_seconds(), _retry_after(failure)))

    def wait(self, reason: str, seconds: float, failure: RelayError) -> StopReason:
        """Return the stop for another temporary condition; waits at least so many seconds."""
        self.last_failure = failure
        return StopReason(reason=reason, wait_seconds=math.ceil(self._extended(seconds)))

    def final_reason(self, stop: StopReason | None) -> StopReason | None:
        """Return the stop reason in view of the responses until the end of the invocation."""
        if stop is None or self.last_failure is None:
            return stop
        timed_out_silently = stop == OUT_OF_TIME and not self.provider_responded
        gave_up_too_early = stop.gives_up and self.provider_responded
        is_down = timed_out_silently or gave_up_too_early
        return self.provider_down(self.last_failure) if is_down else stop

    def _on_rate_limit(self, failure: RelayError, stop: StopReason | None) -> RetryDecision:
        pause = _retry_after(failure)
        if pause > MAX_PAUSE_SECONDS:
            return RetryDecision(stop=self._stop("rate_limited", self._extended(pause)))
        pause = max(pause, min(MAX_PAUSE_SECONDS, _jittered(self._consecutive_failures)))
        return RetryDecision(retry_seconds=pause, pause_seconds=pause, stop=stop)

    def _on_temporary_failure(
        self, row: Row, failure: RelayError, stop: StopReason | None
    ) -> RetryDecision:
        if not row.failures:
            row.successes_before = self._successes
        row.failures += 1
        if not stop and row.failures >= MAX_ROW_ATTEMPTS:
            # If no other row was answered meanwhile, it may be the provider's fault.
            only_failures = self._successes == row.successes_before
            is_row_fault = not only_failures or self._silent_invocations >= ROW_SILENT_INVOCATIONS
            if is_row_fault and classify_failure(failure) is FailureClass.ROW:
                return RetryDecision(is_final=True)
            stop = self.provider_down(failure) if only_failures else None
        seconds = min(_MAX_BACKOFF_SECONDS, max(_jittered(row.failures), _retry_after(failure)))
        return RetryDecision(retry_seconds=seconds, stop=stop)

    def _on_response(self) -> None:
        self.provider_responded, self._consecutive_failures, self._silent_invocations = True, 0, 0

    def _backoff_seconds(self) -> float:
        seconds = _FIRST_WAIT_SECONDS * 2.0 ** min(self._silent_invocations, MAX_SILENT_INVOCATIONS)
        return min(_MAX_WAIT_SECONDS, seconds)

    def _extended(self, seconds: float) -> float:
        return max(seconds, self._backoff_seconds()) if self._silent_invocations else seconds

    def _stop(self, reason: str, seconds: float) -> StopReason:
        if self._silent_invocations >= MAX_SILENT_INVOCATIONS:
            return StopReason(reason=reason, gives_up=True)
        return StopReason(reason=reason, wait_seconds=math.ceil(seconds))


def _retry_after(failure: RelayError) -> float:
    return retry_after_seconds(failure.headers()) or 0.0


def _jittered(failures: int) -> float:
    ceiling = min(_MAX_BACKOFF_SECONDS, _FIRST_BACKOFF_SECONDS * 2 ** min(failures - 1, 10))
    return random.uniform(ceiling / 4, ceiling)  # noqa: S311 - not for cryptography


def classify_failure(failure: RelayError) -> FailureClass:
    """Return what a failure is about."""
    status = failure.status
    if isinstance(failure, _PROVIDER_FAILURES) or status == HTTPStatus.PAYMENT_REQUIRED:
        return FailureClass.PROVIDER
    if isinstance(failure, DeadlineExceeded):
        return FailureClass.ROW
    if not isinstance(failure, ProviderError) or not is_retryable(status):
        return FailureClass.FINAL
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return FailureClass.LOAD
    is_final = failure.headers().get("x-should-retry") == "false"
    return FailureClass.FINAL if is_final else FailureClass.ROW
