"""The error lines of rows that were not run."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from llm_relay.batch.model.lines import InputChanged, read_chunk
from llm_relay.batch.model.names import row_request_id
from llm_relay.batch.model.record import CANCELLING, Batch
from llm_relay.core.json_codec import compact, parse_object

if TYPE_CHECKING:
    from llm_relay.aws.s3 import Bucket
    from llm_relay.batch.model.manifest import Chunk


@dataclass(frozen=True)
class Reason:
    """Why rows were not run."""

    code: str
    message: str


CANCELLED = Reason("batch_cancelled", "The batch was cancelled before this row was run.")
EXPIRED = Reason(
    "batch_expired",
    "The batch's 24 hours were over before this row was run. Submit it in a new batch.",
)
INTERRUPTED = Reason(
    "batch_failed", "The batch failed before this row was run. Submit it in a new batch."
)
INPUT_CHANGED = Reason(
    "input_changed",
    "The input file was replaced or deleted before this row was run, so its custom_id is "
    "unknown. Submit the rows whose custom_id is in neither result file in a new batch, and do "
    "not change its file until the batch has ended.",
)


def reason_of(batch: Batch) -> Reason:
    """Return why a batch that is being finalized may have unprocessed rows."""
    if batch.status == CANCELLING:
        return CANCELLED
    return EXPIRED if batch.times["finalizing_at"] >= batch.expires_at else INTERRUPTED


def unprocessed_rows(
    bucket: Bucket, batch: Batch, chunk: Chunk, is_done: bytearray
) -> tuple[Reason, list[bytes]]:
    """Return why rows of a chunk were not run, and their error lines."""
    reason = reason_of(batch)
    custom_ids = {row: None for row, done in enumerate(is_done, chunk.first_row) if not done}
    try:
        for line in read_chunk(bucket, batch, chunk):
            if line.row in custom_ids:
                custom_ids[line.row] = (parse_object(line.text) or {}).get("custom_id")
    except InputChanged:
        custom_ids = dict.fromkeys(custom_ids)
        reason = INPUT_CHANGED if reason is INTERRUPTED else reason
    return reason, [_error_line(batch, row, name, reason) for row, name in custom_ids.items()]


def _error_line(batch: Batch, row: int, custom_id: str | None, reason: Reason) -> bytes:
    line = {
        "id": row_request_id(batch.id, row),
        "custom_id": custom_id,
        "response": None,
        "error": asdict(reason),
    }
    return compact(line) + b"\n"
