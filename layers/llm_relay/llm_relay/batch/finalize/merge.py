"""Writes the output and the error file from all parts, with the rows that were not run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_relay.batch.finalize.compaction import current_parts, unique_results
from llm_relay.batch.model.input_file import Chunk, InputChanged, parse_manifest, read_chunk
from llm_relay.batch.model.names import ERRORS, OUTPUT, manifest_key, results_key, row_request_id
from llm_relay.batch.model.record import CANCELLING, Batch, Document
from llm_relay.batch.model.results import ResultTotals
from llm_relay.batch.model.store import store
from llm_relay.core.json_codec import compact, parse_object

if TYPE_CHECKING:
    from llm_relay.aws.s3 import Bucket


@dataclass(frozen=True)
class Reason:
    """Why rows were not run."""

    code: str
    message: str
    batch_message: str = ""  # if no row was run


CANCELLED = Reason("batch_cancelled", "The batch was cancelled before this row was run.")
EXPIRED = Reason(
    "batch_expired",
    "The batch's 24 hours were over before this row was run. Submit it in a new batch.",
)
INTERRUPTED = Reason(
    "batch_failed",
    "The batch failed before this row was run. Submit it in a new batch.",
    "The batch failed before any of its rows was run. Submit the file again.",
)
INPUT_CHANGED = Reason(
    "input_changed",
    "The input file was replaced or deleted before this row was run, so its custom_id is "
    "unknown. Submit the rows whose custom_id is in neither result file in a new batch, and do "
    "not change its file until the batch has ended.",
    "The input file was replaced or deleted before any of its rows was run. Submit it again, and "
    "do not change it until its batch has ended.",
)


class AlreadyFinalized(Exception):  # noqa: N818 - not an error
    """Another invocation has finalized the batch in the meantime."""


@dataclass(slots=True, kw_only=True)
class BatchTotals(ResultTotals):
    """The totals of the two files."""

    unprocessed: int = 0
    reason: Reason | None = None  # why rows are unprocessed
    output_bytes: int = 0
    error_bytes: int = 0

    def usage(self) -> Document:
        """Return the usage of the batch in the form of OpenAI's API."""
        return {
            "input_tokens": self.tokens_in,
            "input_tokens_details": {"cached_tokens": self.tokens_cached},
            "output_tokens": self.tokens_out,
            "output_tokens_details": {"reasoning_tokens": self.tokens_reasoning},
            "total_tokens": self.tokens_in + self.tokens_out,
        }


def merge(bucket: Bucket, batch: Batch) -> BatchTotals:
    """Write the two files, unless they are empty, and return their totals.

    No file appears on a failure, nor on AlreadyFinalized.
    """
    totals, is_done = BatchTotals(), bytearray(batch.total)
    with (
        bucket.writer(results_key(batch, OUTPUT), skip_empty=True) as output,
        bucket.writer(results_key(batch, ERRORS), skip_empty=True) as errors,
    ):
        for result in unique_results(bucket, current_parts(bucket, batch), is_done):
            (output if result.is_answer else errors).write(result.line)
            totals.add(result)
        if 0 in is_done:
            for chunk in parse_manifest(bucket.get(manifest_key(batch.id))):
                errors.write(_unprocessed_lines(bucket, batch, chunk, is_done, totals))
        totals.output_bytes, totals.error_bytes = output.bytes, errors.bytes
        current = store().batch(batch.owner, batch.id)
        if current is None or current.status != batch.status:  # its input may be deleted since
            raise AlreadyFinalized
    return totals


def _unprocessed_lines(
    bucket: Bucket, batch: Batch, chunk: Chunk, is_done: bytearray, totals: BatchTotals
) -> bytes:
    """Return error lines for the rows of a chunk that were not run, and count them."""
    rows = range(chunk.first_row, chunk.first_row + chunk.rows)
    custom_ids = {row: None for row in rows if not is_done[row]}
    if not custom_ids:
        return b""
    reason = _reason_of(batch)
    try:
        for line in read_chunk(bucket, batch, chunk):
            if line.row in custom_ids:
                custom_ids[line.row] = (parse_object(line.text) or {}).get("custom_id")
    except InputChanged:
        custom_ids = dict.fromkeys(custom_ids)
        reason = INPUT_CHANGED if reason is INTERRUPTED else reason
    totals.unprocessed += len(custom_ids)
    totals.reason = reason
    error = {"code": reason.code, "message": reason.message}
    lines = (
        {"id": row_request_id(batch.id, row), "custom_id": name, "response": None, "error": error}
        for row, name in custom_ids.items()
    )
    return b"".join(compact(line) + b"\n" for line in lines)


def _reason_of(batch: Batch) -> Reason:
    if batch.status == CANCELLING:
        return CANCELLED
    return EXPIRED if batch.times["finalizing_at"] >= batch.expires_at else INTERRUPTED
