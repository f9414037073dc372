"""Puts the parts of all results together into two files."""

from __future__ import annotations

from contextlib import ExitStack
from itertools import groupby
from typing import TYPE_CHECKING

from llm_relay.batch.finalize.compact import chunk_number, current_parts, unique_results
from llm_relay.batch.finalize.notify import ERRORS, OUTPUT, results_key
from llm_relay.batch.finalize.totals import BatchTotals
from llm_relay.batch.finalize.unprocessed_rows import unprocessed_rows
from llm_relay.batch.model.manifest import parse_manifest
from llm_relay.batch.model.names import manifest_key
from llm_relay.batch.model.prefetch import prefetch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from llm_relay.aws.s3 import Bucket
    from llm_relay.aws.s3_writer import ObjectWriter
    from llm_relay.batch.model.manifest import Chunk
    from llm_relay.batch.model.prefetch import Part
    from llm_relay.batch.model.record import Batch


class AlreadyFinalized(Exception):  # noqa: N818 - what they are
    """The files were made by somebody else in the meantime."""


class ResultFile:
    """A file of results; without a line, there is none."""

    def __init__(self, bucket: Bucket, key: str, opened: ExitStack) -> None:
        self._bucket = bucket
        self._key = key
        self._opened = opened
        self._writer: ObjectWriter | None = None

    def write(self, line: bytes) -> None:
        """Add a line."""
        if self._writer is None:
            self._writer = self._opened.enter_context(self._bucket.writer(self._key))
        self._writer.write(line)

    @property
    def bytes(self) -> int:
        """How long the file is."""
        return self._writer.bytes if self._writer else 0


def merge(bucket: Bucket, batch: Batch, is_wanted: Callable[[], bool]) -> BatchTotals:
    """Write the two files, and return what is in them; nothing is there if this fails.

    NotWanted if `is_wanted` says so in the end, when all is written and nothing is seen of it.
    """
    tally = BatchTotals()
    with ExitStack() as opened:
        output = ResultFile(bucket, results_key(batch, OUTPUT), opened)
        errors = ResultFile(bucket, results_key(batch, ERRORS), opened)
        for chunk, parts in _parts_of_chunks(bucket, batch):
            is_done = bytearray(chunk.rows)
            for result in unique_results(chunk, parts, is_done):
                (output if result.is_answer else errors).write(result.line)
                tally.add(result)
            if 0 in is_done:
                tally.cause, lines = unprocessed_rows(bucket, batch, chunk, is_done)
                for line in lines:
                    errors.write(line)
                    tally.never_run += 1
        tally.output_bytes, tally.error_bytes = output.bytes, errors.bytes
        if not is_wanted():
            raise AlreadyFinalized
    return tally


def _parts_of_chunks(bucket: Bucket, batch: Batch) -> Iterator[tuple[Chunk, Iterable[Part]]]:
    chunks = parse_manifest(bucket.get(manifest_key(batch.id)))
    parts_in_order = prefetch(bucket, current_parts(bucket, batch))
    groups = groupby(parts_in_order, key=lambda part: chunk_number(part[0]))
    number, parts = next(groups, (None, None))
    for chunk in chunks:
        if parts is not None and number == chunk.number:
            yield chunk, parts
            number, parts = next(groups, (None, None))
        else:
            yield chunk, ()
