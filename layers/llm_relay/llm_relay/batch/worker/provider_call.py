"""Reads the rows of a chunk, as the providers accept them, and calls a provider for each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llm_relay.api.relay import LISTING_TIMEOUT_SECONDS, provider_router
from llm_relay.batch.model.lines import read_chunk
from llm_relay.batch.model.names import row_request_id
from llm_relay.batch.model.result_lines import error_result
from llm_relay.batch.model.row_check import InvalidLine, parse_row
from llm_relay.batch.worker.rows import Row
from llm_relay.billing.admission import Admission, admit, merge_admissions
from llm_relay.core.deadline import Deadline
from llm_relay.core.error_log import log_internal_error
from llm_relay.core.errors import (
    POSSIBLY_BILLED,
    BadRequest,
    InternalError,
    PricesUnavailable,
    RelayError,
)
from llm_relay.endpoints.endpoint import Endpoint, endpoint_at
from llm_relay.providers.client import AttemptTracker
from llm_relay.providers.completion import Completion, CompletionCall
from llm_relay.providers.dialects.translation import Translation
from llm_relay.validation import model_limits

if TYPE_CHECKING:
    from llm_relay.aws.s3 import Bucket
    from llm_relay.batch.model.manifest import Chunk
    from llm_relay.batch.model.parts import RowResult
    from llm_relay.batch.model.record import Batch
    from llm_relay.providers.provider import Provider


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


def read_rows(
    bucket: Bucket,
    batch: Batch,
    chunk: Chunk,
    done: bytearray,
    on_invalid: Callable[[RowResult], None],
) -> Iterator[Row]:
    """Yield the rows of a chunk that are not done and may run; `on_invalid` gets the others.

    Raises PricesUnavailable, or InputChanged.
    """
    for line in read_chunk(bucket, batch, chunk):
        if done[line.row - chunk.first_row]:
            continue
        custom_id = None
        try:
            row = parse_row(line)
            custom_id = row.custom_id
            admission = _admit(batch, row.body)
        except PricesUnavailable:
            raise  # temporary: the next invocation reads the row again
        except InvalidLine as invalid:
            failure: RelayError = BadRequest(invalid.message, param=invalid.param)
        except RelayError as error:
            failure = error
        else:
            yield Row(
                row=line.row,
                custom_id=custom_id,
                model=str(row.body.get("model")),
                bytes=len(line.text),
                max_cost_nanos=admission.max_cost_nanos,
                bodies=admission.bodies,
            )
            continue
        on_invalid(error_result(batch.id, line.row, custom_id, failure))


def _admit(batch: Batch, body: dict[str, Any]) -> Admission:
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


def _endpoint_of(batch: Batch) -> Endpoint:
    endpoint = endpoint_at(batch.endpoint)
    if endpoint is None:
        raise ValueError(batch.endpoint)
    return endpoint
