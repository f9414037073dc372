"""The rows that a batch has left undone, as lines of its error file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_relay.batch.lines import lines_in
from llm_relay.batch.names import row_request_id
from llm_relay.batch.record import CANCELLING
from llm_relay.documents import parse_object

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llm_relay.batch.manifest import Chunk
    from llm_relay.batch.record import Batch
    from llm_relay.objects import Bucket

_BLOCK_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Why rows were not run."""

    code: str
    message: str


CANCELLED = Cause(
    code="batch_cancelled", message="The batch was cancelled before this row was run."
)
EXPIRED = Cause(
    code="batch_expired",
    message="The batch's 24 hours were over before this row was run. Submit it in a new batch.",
)
BROKEN = Cause(
    code="batch_failed",
    message="The batch broke off before this row was run. Submit it in a new batch.",
)


def cause_of(batch: Batch) -> Cause:
    """Return why a batch that is to end may have rows undone; the same whenever it is asked."""
    if batch.status == CANCELLING:
        return CANCELLED
    return EXPIRED if batch.times["finalizing_at"] >= batch.expires_at else BROKEN


def never_run(bucket: Bucket, batch: Batch, chunk: Chunk, is_done: bytearray) -> Iterator[bytes]:
    """Yield the lines of a chunk's rows that are not done."""
    cause = cause_of(batch)
    error = {"code": cause.code, "message": cause.message}
    custom_ids = _custom_ids(bucket, batch, chunk, is_done)
    for at, done in enumerate(is_done):
        if not done:
            row = chunk.first_row + at
            line = {
                "id": row_request_id(batch.id, row),
                "custom_id": custom_ids.get(row),
                "response": None,
                "error": error,
            }
            yield json.dumps(line, separators=(",", ":")).encode() + b"\n"


def _custom_ids(
    bucket: Bucket, batch: Batch, chunk: Chunk, is_done: bytearray
) -> dict[int, str | None]:
    blocks = _blocks(bucket, batch.input_key, chunk)
    try:
        return {
            line.row: (parse_object(line.text) or {}).get("custom_id")
            for line in lines_in(blocks, start=chunk.start, first_row=chunk.first_row)
            if line.row - chunk.first_row < len(is_done) and not is_done[line.row - chunk.first_row]
        }
    except KeyError:  # the file was deleted; the batch ends all the same
        return {}


def _blocks(bucket: Bucket, key: str, chunk: Chunk) -> Iterator[bytes]:
    for start in range(chunk.start, chunk.end, _BLOCK_BYTES):
        yield bucket.get(key, start, min(start + _BLOCK_BYTES, chunk.end))
