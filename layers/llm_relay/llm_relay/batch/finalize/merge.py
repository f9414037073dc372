"""Merges the parts of all results into the output and the error file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from llm_relay.batch.finalize.compaction import chunk_number, current_parts, unique_results
from llm_relay.batch.finalize.unprocessed_rows import Reason, unprocessed_rows
from llm_relay.batch.model.manifest import Chunk, parse_manifest
from llm_relay.batch.model.names import ERRORS, OUTPUT, manifest_key, results_key
from llm_relay.batch.model.parts import Part, ResultTotals, read_parts

if TYPE_CHECKING:
    from llm_relay.aws.s3 import Bucket
    from llm_relay.batch.model.record import Batch, Document


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


def merge(bucket: Bucket, batch: Batch, is_open: Callable[[], bool]) -> BatchTotals:
    """Write the two files, unless they are empty, and return their totals.

    AlreadyFinalized if `is_open` returns False once all is written, before the files appear. No
    file appears on a failure.
    """
    totals = BatchTotals()
    with (
        bucket.writer(results_key(batch, OUTPUT), skip_empty=True) as output,
        bucket.writer(results_key(batch, ERRORS), skip_empty=True) as errors,
    ):
        for chunk, parts in _parts_by_chunk(bucket, batch):
            is_done = bytearray(chunk.rows)
            for result in unique_results(chunk, parts, is_done):
                (output if result.is_answer else errors).write(result.line)
                totals.add(result)
            if 0 in is_done:
                totals.reason, lines = unprocessed_rows(bucket, batch, chunk, is_done)
                errors.write(b"".join(lines))
                totals.unprocessed += len(lines)
        totals.output_bytes, totals.error_bytes = output.bytes, errors.bytes
        if not is_open():
            raise AlreadyFinalized
    return totals


def _parts_by_chunk(bucket: Bucket, batch: Batch) -> Iterator[tuple[Chunk, Iterable[Part]]]:
    parts = read_parts(bucket, current_parts(bucket, batch))
    groups = groupby(parts, key=lambda part: chunk_number(part[0]))
    number, group = next(groups, (None, iter(())))
    for chunk in parse_manifest(bucket.get(manifest_key(batch.id))):
        if number == chunk.number:
            yield chunk, group
            number, group = next(groups, (None, iter(())))
        else:
            yield chunk, ()
