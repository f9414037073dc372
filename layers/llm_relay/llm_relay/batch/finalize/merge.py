"""Merges the parts of all results into the output and the error file."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from llm_relay.batch.finalize.compaction import chunk_number, current_parts, unique_results
from llm_relay.batch.finalize.unprocessed_rows import unprocessed_rows
from llm_relay.batch.model.manifest import parse_manifest
from llm_relay.batch.model.names import ERRORS, OUTPUT, manifest_key, results_key
from llm_relay.batch.model.parts import read_parts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from llm_relay.aws.s3 import Bucket
    from llm_relay.aws.s3_writer import ObjectWriter
    from llm_relay.batch.finalize.unprocessed_rows import Reason
    from llm_relay.batch.model.manifest import Chunk
    from llm_relay.batch.model.parts import Part, RowResult
    from llm_relay.batch.model.record import Batch, Document


class AlreadyFinalized(Exception):  # noqa: N818 - not an error
    """Another invocation has finalized the batch in the meantime."""


@dataclass(slots=True)
class BatchTotals:
    """Counts and sums over the results that were written."""

    completed: int = 0
    failed: int = 0
    unprocessed: int = 0
    reason: Reason | None = None  # why rows are unprocessed
    cost_nanos: int = 0
    tokens_in: int = 0
    tokens_cached: int = 0
    tokens_out: int = 0
    tokens_reasoning: int = 0
    output_bytes: int = 0
    error_bytes: int = 0

    def add(self, result: RowResult) -> None:
        """Count a row that was run."""
        self.completed += result.is_answer
        self.failed += not result.is_answer
        self.cost_nanos += result.cost_nanos
        self.tokens_in += result.tokens_in
        self.tokens_cached += result.tokens_cached
        self.tokens_out += result.tokens_out
        self.tokens_reasoning += result.tokens_reasoning

    def usage(self) -> Document:
        """Return the usage of the batch in the form of OpenAI's API."""
        return {
            "input_tokens": self.tokens_in,
            "input_tokens_details": {"cached_tokens": self.tokens_cached},
            "output_tokens": self.tokens_out,
            "output_tokens_details": {"reasoning_tokens": self.tokens_reasoning},
            "total_tokens": self.tokens_in + self.tokens_out,
        }


class ResultFile:
    """A file of results, which is created with its first line."""

    def __init__(self, bucket: Bucket, key: str, stack: ExitStack) -> None:
        self._bucket = bucket
        self._key = key
        self._stack = stack
        self._writer: ObjectWriter | None = None

    def write(self, line: bytes) -> None:
        """Add a line."""
        if self._writer is None:
            self._writer = self._stack.enter_context(self._bucket.writer(self._key))
        self._writer.write(line)

    @property
    def bytes(self) -> int:
        """The size of the file."""
        return self._writer.bytes if self._writer else 0


def merge(bucket: Bucket, batch: Batch, is_open: Callable[[], bool]) -> BatchTotals:
    """Write the two files and return their totals; on failure neither file exists.

    AlreadyFinalized if `is_open` returns False once all is written, before the files appear.
    """
    totals = BatchTotals()
    with ExitStack() as stack:
        output = ResultFile(bucket, results_key(batch, OUTPUT), stack)
        errors = ResultFile(bucket, results_key(batch, ERRORS), stack)
        for chunk, parts in _parts_by_chunk(bucket, batch):
            is_done = bytearray(chunk.rows)
            for result in unique_results(chunk, parts, is_done):
                (output if result.is_answer else errors).write(result.line)
                totals.add(result)
            if 0 in is_done:
                totals.reason, lines = unprocessed_rows(bucket, batch, chunk, is_done)
                for line in lines:
                    errors.write(line)
                    totals.unprocessed += 1
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
