"""The providers as the rows of a batch use them: admission, completion calls, listed models."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from llm_relay.api.relay import LISTING_TIMEOUT_SECONDS, provider_router
from llm_relay.batch.model.names import row_request_id
from llm_relay.billing.admission import Admission, admit, merge_admissions
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
from llm_relay.endpoints.endpoint import Endpoint, endpoint_at
from llm_relay.providers.client import AttemptTracker
from llm_relay.providers.completion import Completion, CompletionCall
from llm_relay.providers.dialects.translation import Translation
from llm_relay.validation import model_limits

if TYPE_CHECKING:
    from llm_relay.batch.model.record import Batch
    from llm_relay.batch.worker.rows import Row
    from llm_relay.providers.provider import Provider


# Any other row would fail as well; 402 is about the operator's credits with the provider.
_PROVIDER_FAILURES = (ProviderKeyMissing, ProviderKeyRejected, UpstreamUnreachable)


class FailureClass(Enum):
    """What a failure is about."""

    FINAL = "final"  # a retry would not help, or may be billed twice
    ROW = "row"  # may pass; a row that keeps failing is given up
    LOAD = "load"  # too many rows at once
    PROVIDER = "provider"  # no row can be answered now


def classify_failure(failure: RelayError) -> FailureClass:
    """Return what a failure is about."""
    status = failure.status
    if isinstance(failure, _PROVIDER_FAILURES) or status == HTTPStatus.PAYMENT_REQUIRED:
        return FailureClass.PROVIDER
    if isinstance(failure, DeadlineExceeded):
        return FailureClass.ROW
    if not isinstance(failure, ProviderRefused) or not is_retryable(status):
        return FailureClass.FINAL
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return FailureClass.LOAD
    is_final = failure.headers().get("x-should-retry") == "false"
    return FailureClass.FINAL if is_final else FailureClass.ROW


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The completion or the failure of a row; times are on the monotonic clock."""

    row: Row
    started: float
    ended: float
    completion: Completion | None
    failure: RelayError | None
    may_be_billed: bool


class ProviderCall:
    """Runs single rows, each with the same timeout in seconds."""

    def __init__(self, batch: Batch, timeout_seconds: float) -> None:
        self._batch_id = batch.id
        self._completion_call = CompletionCall(provider_router(), _endpoint_of(batch))
        self._timeout_seconds = timeout_seconds

    def run(self, row: Row) -> Outcome:
        """Return the outcome of a row; never raises."""
        started, tracker = time.monotonic(), AttemptTracker()
        completion, failure = None, None
        try:
            deadline = Deadline.after(self._timeout_seconds)
            completion = self._completion_call.call(row.bodies, deadline, tracker)
        except RelayError as error:
            failure = error
        except Exception as error:  # noqa: BLE001 - fails this row, not the other rows
            log_internal_error(error, row_request_id(self._batch_id, row.row))
            failure = InternalError("The relay itself failed. Its log has the line's id.")
        return Outcome(
            row=row,
            started=started,
            ended=time.monotonic(),
            completion=completion,
            failure=failure,
            may_be_billed=tracker.attempts > 0 and isinstance(failure, POSSIBLY_BILLED),
        )


def load_provider_key() -> None:
    """Load the key of the first provider, before many threads need it at once."""
    next(iter(provider_router())).model_entry("", Deadline.after(LISTING_TIMEOUT_SECONDS))


def admit_row(batch: Batch, body: dict[str, Any]) -> Admission:
    """Return a row's request as its client may send it, for each provider that accepts it.

    Raises a RelayError if no provider accepts it.
    """
    client, endpoint = batch.client, _endpoint_of(batch)
    model = str(body.get("model"))

    def admit_at(provider: Provider) -> Admission:
        endpoint.check_details(body, provider.dialect)
        deadline = Deadline.after(LISTING_TIMEOUT_SECONDS)
        if model_limits.needs_listing(body):
            model_limits.check(body, provider.model_entry(model, deadline))
        entry = None if client.budget_nanos is None else provider.priced_entry(model, deadline)
        endpoint.translate(Translation(provider.dialect, b"", body))  # raises if it cannot
        return admit(client, endpoint.path, body, entry, provider.dialect)

    return merge_admissions(provider_router().accepting(model, admit_at))


def listed_model(completion: Completion, requested_model: str) -> Mapping[str, Any] | None:
    """Return the provider's catalog entry of the model that has answered, if there is one."""
    provider = provider_router().named(completion.provider)
    deadline = Deadline.after(LISTING_TIMEOUT_SECONDS)
    return provider.answer_entry(completion.model, requested_model, deadline)


def row_interval(row: Row) -> float:
    """Return the seconds to leave after a row, by the provider with the most capacity left."""
    return min(each.client.rate_limits.spacing_seconds(row.model) for each in row.bodies)


def _endpoint_of(batch: Batch) -> Endpoint:
    endpoint = endpoint_at(batch.endpoint)
    if endpoint is None:
        raise ValueError(batch.endpoint)
    return endpoint
