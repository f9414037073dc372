"""Asks the provider for one row, in a thread of its own; whatever happens is an outcome."""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from typing import TYPE_CHECKING

from llm_relay.batch.model.names import row_request_id
from llm_relay.core.deadline import Deadline
from llm_relay.core.error_log import log_internal_error
from llm_relay.core.errors import (
    POSSIBLY_BILLED,
    DeadlineExceeded,
    InternalError,
    ProviderKeyMissing,
    ProviderKeyRejected,
    ProviderRefused,
    RelayError,
    UpstreamUnreachable,
)
from llm_relay.core.http_status import is_retryable
from llm_relay.providers.client import AttemptTracker

if TYPE_CHECKING:
    from llm_relay.batch.worker.rows import Row
    from llm_relay.providers.completion import Completion, CompletionCall

# Whatever row comes next meets the same; 402 is about the operator's credits with the provider.
_NOT_THE_ROW_S = (ProviderKeyMissing, ProviderKeyRejected, UpstreamUnreachable)


class FailureClass(Enum):
    """What a failure says of its row."""

    FINAL = "final"  # asking again would not help, or be paid for twice
    ROW = "row"  # it may pass; a row that meets it again and again is given up
    LOAD = "load"  # too many were asked at once
    PROVIDER = "provider"  # no row can be answered now


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of asking; times are on the monotonic clock."""

    row: Row
    started: float
    ended: float
    whole: Completion | None = None
    failure: RelayError | None = None
    may_be_paid: bool = False


class ProviderCall:
    """Asks for rows, each within so many seconds."""

    def __init__(self, exchange: CompletionCall, batch_id: str, seconds: float) -> None:
        self._exchange = exchange
        self._batch_id = batch_id
        self._seconds = seconds

    def ask(self, row: Row) -> Outcome:
        """Return what came of a row; never raises."""
        started, effort = time.monotonic(), AttemptTracker()
        failure: RelayError
        try:
            deadline = Deadline.after(self._seconds)
            whole = self._exchange.ask(row.bodies, deadline, effort)
            return Outcome(row=row, started=started, ended=time.monotonic(), whole=whole)
        except RelayError as error:
            failure = error
        except Exception as error:  # noqa: BLE001 - it is this row's, and none of the others'
            log_internal_error(error, row_request_id(self._batch_id, row.row))
            failure = InternalError("The relay itself failed. Its log has the line's id.")
        return Outcome(
            row=row,
            started=started,
            ended=time.monotonic(),
            failure=failure,
            may_be_paid=effort.attempts > 0 and isinstance(failure, POSSIBLY_BILLED),
        )


def classify_failure(failure: RelayError) -> FailureClass:
    """Return what a failure says of its row."""
    status = failure.status
    if isinstance(failure, _NOT_THE_ROW_S) or status == HTTPStatus.PAYMENT_REQUIRED:
        return FailureClass.PROVIDER
    if isinstance(failure, DeadlineExceeded):
        return FailureClass.ROW
    if not isinstance(failure, ProviderRefused) or not is_retryable(status):
        return FailureClass.FINAL
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return FailureClass.LOAD
    return (
        FailureClass.FINAL
        if failure.headers().get("x-should-retry") == "false"
        else FailureClass.ROW
    )
