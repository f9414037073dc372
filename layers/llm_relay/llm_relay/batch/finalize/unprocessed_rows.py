"""The rows that a batch has left undone, as lines of its error file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_relay.batch.model.lines import read_lines
from llm_relay.batch.model.names import row_request_id
from llm_relay.batch.model.record import CANCELLING
from llm_relay.core.json_codec import compact, parse_object

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from llm_relay.aws.s3 import Bucket
    from llm_relay.batch.model.manifest import Chunk
    from llm_relay.batch.model.record import Batch

_BLOCK_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why rows were not run."""

    code: str
    message: str


CANCELLED = Reason(
    code="batch_cancelled", message="The batch was cancelled before this row was run."
)
EXPIRED = Reason(
    code="batch_expired",
    message="The batch's 24 hours were over before this row was run. Submit it in a new batch.",
)
INTERRUPTED = Reason(
    code="batch_failed",
    message="The batch broke off before this row was run. Submit it in a new batch.",
)

INPUT_CHANGED = Reason(
    code="input_changed",
    message=(
        "The input file was replaced or deleted before this row was run, so its custom_id is no "
        "longer known. Submit the rows whose custom_id is in neither file of results in a new "
        "batch, and leave its file as it is until the batch has ended."
    ),
)


def reason_of(batch: Batch) -> Reason:
    """Return why a batch that is to end may have rows undone; the same whenever it is asked."""
    if batch.status == CANCELLING:
        return CANCELLED
    return EXPIRED if batch.times["finalizing_at"] >= batch.expires_at else INTERRUPTED


def unprocessed_rows(
    bucket: Bucket, batch: Batch, chunk: Chunk, is_done: bytearray
) -> tuple[Reason, Iterator[bytes]]:
    """Return why a chunk's rows that are not done were not run, and their lines."""
    cause = reason_of(batch)
    try:
        custom_ids = _custom_ids(bucket, batch, chunk, is_done)
    except KeyError:  # the batch ends all the same
        custom_ids = {}
        cause = INPUT_CHANGED if cause is INTERRUPTED else cause
    return cause, _lines(batch, chunk, is_done, cause, custom_ids)


def _lines(
    batch: Batch,
    chunk: Chunk,
    is_done: bytearray,
    cause: Reason,
    custom_ids: Mapping[int, str | None],
) -> Iterator[bytes]:
    error = {"code": cause.code, "message": cause.message}
    for at, done in enumerate(is_done):
        if not done:
            row = chunk.first_row + at
            line = {
                "id": row_request_id(batch.id, row),
                "custom_id": custom_ids.get(row),
                "response": None,
                "error": error,
            }
            yield compact(line) + b"\n"


def _custom_ids(
    bucket: Bucket, batch: Batch, chunk: Chunk, is_done: bytearray
) -> dict[int, str | None]:
    blocks = _blocks(bucket, batch, chunk)
    return {
        line.row: (parse_object(line.text) or {}).get("custom_id")
        for line in read_lines(blocks, start=chunk.start, first_row=chunk.first_row)
        if line.row - chunk.first_row < len(is_done) and not is_done[line.row - chunk.first_row]
    }


def _blocks(bucket: Bucket, batch: Batch, chunk: Chunk) -> Iterator[bytes]:
    for start in range(chunk.start, chunk.end, _BLOCK_BYTES):
        end = min(start + _BLOCK_BYTES, chunk.end)
        yield bucket.get(batch.input_key, start, end, batch.input_etag)
