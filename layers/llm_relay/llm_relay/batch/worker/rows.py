"""Reads the rows of a chunk from the input file, as the providers accept them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from llm_relay.api.relay import LISTING_TIMEOUT_SECONDS, provider_router
from llm_relay.batch.model.input_file import read_chunk
from llm_relay.batch.model.results import error_result
from llm_relay.batch.model.row_check import InvalidLine, parse_row
from llm_relay.batch.worker.chunk_task import Row
from llm_relay.billing.admission import Admission, admit, merge_admissions
from llm_relay.core.deadline import Deadline
from llm_relay.core.errors import BadRequest, PricesUnavailable, RelayError
from llm_relay.endpoints.endpoint import Endpoint, endpoint_at
from llm_relay.providers.dialects.translation import Translation
from llm_relay.validation import model_limits

if TYPE_CHECKING:
    from llm_relay.aws.s3 import Bucket
    from llm_relay.batch.model.input_file import Chunk
    from llm_relay.batch.model.record import Batch
    from llm_relay.batch.model.results import RowResult
    from llm_relay.providers.provider import Provider


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
    """Return a row's admission by the providers that accept it; RelayError if none does."""
    client, endpoint = batch.client, endpoint_of(batch)
    model = str(body.get("model"))

    def admit_at(provider: Provider) -> Admission:
        endpoint.check_details(body, provider.dialect)
        deadline = Deadline.after(LISTING_TIMEOUT_SECONDS)
        if model_limits.applies_to(body):
            model_limits.check(body, provider.model_entry(model, deadline))
        entry = None if client.budget_nanos is None else provider.priced_entry(model, deadline)
        endpoint.translate(Translation(provider.dialect, b"", body))  # raises if it cannot
        return admit(client, endpoint.path, body, entry, provider.dialect)

    return merge_admissions(provider_router().accepting(model, admit_at))


def endpoint_of(batch: Batch) -> Endpoint:
    """Return the endpoint that a batch was checked for."""
    endpoint = endpoint_at(batch.endpoint)
    if endpoint is None:
        raise ValueError(batch.endpoint)
    return endpoint
