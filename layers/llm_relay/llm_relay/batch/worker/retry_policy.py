"""What failures say: of a row, whether to ask again, and of the provider, whether to go on."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_relay.batch.worker.provider_call import FailureClass, classify_failure
from llm_relay.core.errors import POSSIBLY_BILLED, ProviderKeyMissing, ProviderRefused
from llm_relay.providers.retry_policy import retry_after_seconds

if TYPE_CHECKING:
    from llm_relay.batch.worker.rows import Row
    from llm_relay.core.errors import RelayError

# A row that is refused so often for itself becomes an error line.
ROW_ATTEMPTS = 5
# So many failures in a row, without an answer in between, are the provider's and not the rows'.
DOWN_AFTER = 20
# Fewer in a row may befall any row at any load.
TREND_AFTER = 3
# A longer Retry-After is waited out by Step Functions, where that costs nothing.
LONGEST_PAUSE_SECONDS = 5.0
# Invocations without an answer, after which rows left alone with their refusal are given up, and
# after which everything is.
PATIENT_IDLE = 3
MOST_IDLE = 20

_FIRST_BACKOFF_SECONDS = 0.5
_LONGEST_BACKOFF_SECONDS = 8.0
_FIRST_WAIT_SECONDS = 15
_LONGEST_WAIT_SECONDS = 900


@dataclass(frozen=True, slots=True, kw_only=True)
class StopReason:
    """Why no more rows are taken, and after how many seconds somebody may go on."""

    reason: str
    wait_seconds: int = 0
    ends_chunk: bool = False  # nobody is to go on
    gives_up: bool = False  # the rows left become error lines


OUT_OF_TIME = StopReason(reason="time")


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryDecision:
    """What to do after a failure."""

    is_final: bool = False
    again_seconds: float = 0.0
    pause_seconds: float = 0.0  # for all rows
    eases: bool = False  # fewer rows at once
    stop: StopReason | None = None


class RetryPolicy:
    """What one invocation has seen of the provider, after so many silent attempts."""

    def __init__(self, silent_attempts: int) -> None:
        self._idle = silent_attempts
        self._successes = 0
        self._streak = 0  # of failures since the last answer
        self.has_heard = False  # of a row, be it that this one is refused for good
        self.last: RelayError | None = None

    @property
    def _is_trend(self) -> bool:
        return self._streak >= TREND_AFTER

    def answered(self) -> None:
        """Learn from an answer."""
        self._successes += 1
        self._hear()

    def failed(self, row: Row, failure: RelayError) -> RetryDecision:
        """Learn from a failure and return what to do."""
        found = classify_failure(failure)
        if found is FailureClass.FINAL and not isinstance(failure, POSSIBLY_BILLED):
            self._streak = 0
            if isinstance(failure, ProviderRefused):
                self._hear()  # whoever refuses a row for good is there
            return RetryDecision(is_final=True)
        self.last = failure
        if found is not FailureClass.ROW or not row.failures:  # its others say nothing new
            self._streak += 1
        if found is FailureClass.LOAD:
            return self._after_limit(failure)
        stop = self.down(failure) if self._streak >= DOWN_AFTER else None
        if found is FailureClass.FINAL:
            return RetryDecision(is_final=True, eases=self._is_trend, stop=stop)
        if isinstance(failure, ProviderKeyMissing):
            stop = self.down(failure)  # it is looked for again after a while alone
        return self._after_refusal(row, failure, stop)

    def down(self, failure: RelayError) -> StopReason:
        """Return the stop for a provider that answers nobody."""
        self.last = failure
        asked = retry_after_seconds(failure.headers()) or 0.0
        return self._stop("provider_down", max(self._patience(), asked))

    def wait(self, reason: str, seconds: float, failure: RelayError) -> StopReason:
        """Return the stop for something else that passes: in so many seconds, or in more."""
        self.last = failure
        return StopReason(reason=reason, wait_seconds=math.ceil(self._longer(seconds)))

    def in_the_end(self, stop: StopReason | None) -> StopReason | None:
        """Return why the work was stopped, with what was heard of the provider after that."""
        if stop is None or self.last is None:
            return stop
        is_silence = stop == OUT_OF_TIME and not self.has_heard
        was_rash = stop.gives_up and self.has_heard
        return self.down(self.last) if is_silence or was_rash else stop

    def _after_limit(self, failure: RelayError) -> RetryDecision:
        asked = retry_after_seconds(failure.headers())
        if asked is not None and asked > LONGEST_PAUSE_SECONDS:
            return RetryDecision(stop=self._stop("rate_limited", self._longer(asked)), eases=True)
        stop = self.down(failure) if self._streak >= DOWN_AFTER else None
        pause = max(asked or 0.0, min(LONGEST_PAUSE_SECONDS, _backoff(self._streak)))
        return RetryDecision(again_seconds=pause, pause_seconds=pause, eases=True, stop=stop)

    def _after_refusal(
        self, row: Row, failure: RelayError, stop: StopReason | None
    ) -> RetryDecision:
        if not row.failures:
            row.successes_before = self._successes
        row.failures += 1
        pause = max(_backoff(row.failures), retry_after_seconds(failure.headers()) or 0.0)
        pause = min(pause, _LONGEST_BACKOFF_SECONDS)
        if stop or row.failures < ROW_ATTEMPTS:
            return RetryDecision(again_seconds=pause, eases=self._is_trend, stop=stop)
        # With no answer to anybody in the meantime, it may be the provider's fault.
        is_alone = self._successes == row.successes_before
        if classify_failure(failure) is FailureClass.ROW and (
            not is_alone or self._idle >= PATIENT_IDLE
        ):
            return RetryDecision(is_final=True, eases=self._is_trend)
        stop = self.down(failure) if is_alone else None
        return RetryDecision(again_seconds=pause, eases=self._is_trend, stop=stop)

    def _hear(self) -> None:
        self.has_heard, self._streak, self._idle = True, 0, 0

    def _patience(self) -> float:
        seconds = _FIRST_WAIT_SECONDS * 2.0 ** min(self._idle, MOST_IDLE)
        return min(_LONGEST_WAIT_SECONDS, seconds)

    def _longer(self, seconds: float) -> float:
        """Return the wait, or a longer one if waits of that kind have led to nothing."""
        return max(seconds, self._patience()) if self._idle else seconds

    def _stop(self, reason: str, seconds: float) -> StopReason:
        if self._idle >= MOST_IDLE:
            return StopReason(reason=reason, gives_up=True)
        return StopReason(reason=reason, wait_seconds=math.ceil(seconds))


def _backoff(times: int) -> float:
    ceiling = min(_LONGEST_BACKOFF_SECONDS, _FIRST_BACKOFF_SECONDS * 2 ** min(times - 1, 10))
    return random.uniform(ceiling / 4, ceiling)  # noqa: S311 - spreads callers, guards nothing
