"""Merges the many small parts of a chunk into few large ones.

With a slow provider each part holds one or two rows. Reading a million of them takes an hour, four
times as long as a function may run. So chunks are compacted one by one, over several invocations.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING

from llm_relay.batch.model.manifest import Chunk, parse_manifest
from llm_relay.batch.model.names import batch_prefix, manifest_key, part_key
from llm_relay.batch.model.parts import Part, RowResult, format_part, parse_part, read_parts

if TYPE_CHECKING:
    from llm_relay.aws.s3 import Bucket
    from llm_relay.batch.model.record import Batch
    from llm_relay.core.deadline import Deadline

# The number of parts that are read in a minute.
MAX_PARTS = 20_000

_COMPACTED_PART_BYTES = 16 * 1024 * 1024
# Workers start with attempt 1, so compacted parts come first.
_ATTEMPT = 0
_LAST_NUMBER = 999_999


def compact_parts(
    bucket: Bucket, batch: Batch, deadline: Deadline, max_parts: int = MAX_PARTS
) -> bool:
    """Compact chunks until the deadline, at least one; return whether all are compacted."""
    chunks = parse_manifest(bucket.get(manifest_key(batch.id)))
    max_chunk_parts = max(1, max_parts // len(chunks))
    for number, group in groupby(current_parts(bucket, batch), key=chunk_number):
        keys = list(group)
        if len(keys) > max_chunk_parts and keys[-1] != _last_key(batch, number):
            _compact(bucket, batch, chunks[number], keys)
            if not deadline.remaining():
                return False
    return True


def current_parts(bucket: Bucket, batch: Batch) -> Iterator[str]:
    """Yield the keys of all parts in order, without those that were compacted into others."""
    compacted = ""  # the prefix of a compacted chunk
    # One listing for all chunks: there may be thousands of them.
    for key in bucket.keys(f"{batch_prefix(batch.id)}parts/"):
        if not compacted or not key.startswith(compacted):
            yield key
        if key == _last_key(batch, chunk_number(key)):
            compacted = key.rpartition("/")[0] + "/"


def chunk_number(key: str) -> int:
    """Return the number of the chunk that a part belongs to."""
    return int(key.split("/")[-2])


def unique_results(chunk: Chunk, parts: Iterable[Part], is_done: bytearray) -> Iterator[RowResult]:
    """Yield the first result of each row; rows of a killed worker may have been run again."""
    for _, text in parts:
        for result in parse_part(text):
            index = result.row - chunk.first_row
            if not is_done[index]:
                is_done[index] = 1
                yield result


def _compact(bucket: Bucket, batch: Batch, chunk: Chunk, keys: list[str]) -> None:
    results: list[RowResult] = []
    size = number = 0
    for result in unique_results(chunk, read_parts(bucket, keys), bytearray(chunk.rows)):
        results.append(result)
        size += len(result.line)
        if size >= _COMPACTED_PART_BYTES:
            bucket.put(part_key(batch.id, chunk.number, _ATTEMPT, number), format_part(results))
            results, size, number = [], 0, number + 1
    bucket.put(_last_key(batch, chunk.number), format_part(results))


def _last_key(batch: Batch, chunk: int) -> str:
    """Return the key of the last compacted part; it exists once all of them do."""
    return part_key(batch.id, chunk, _ATTEMPT, _LAST_NUMBER)
