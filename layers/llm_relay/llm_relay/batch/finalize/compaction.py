"""Merges the many small parts of a chunk into few large ones.

With a slow provider each part holds one or two rows. Reading a million of them takes an hour, four
times as long as a function may run. So chunks are compacted one by one, over several invocations.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING

from llm_relay.batch.model.input_file import parse_manifest
from llm_relay.batch.model.names import batch_prefix, manifest_key, part_key
from llm_relay.batch.model.results import RowResult, format_part, parse_part, read_parts

if TYPE_CHECKING:
    from llm_relay.aws.s3 import Bucket
    from llm_relay.batch.model.record import Batch
    from llm_relay.core.deadline import Deadline

MAX_PARTS = 20_000  # as many as are read in a minute

_COMPACTED_PART_BYTES = 16 * 1024 * 1024
# Workers start with attempt 1, so compacted parts come first.
_ATTEMPT = 0
_LAST_NUMBER = 999_999


def compact_parts(
    bucket: Bucket, batch: Batch, deadline: Deadline, max_parts: int = MAX_PARTS
) -> bool:
    """Compact chunks until the deadline, at least one; return whether all are compacted."""
    chunk_count = len(parse_manifest(bucket.get(manifest_key(batch.id))))
    max_chunk_parts = max(1, max_parts // chunk_count)
    for chunk, group in groupby(current_parts(bucket, batch), key=_chunk_number):
        keys = list(group)
        if len(keys) > max_chunk_parts and keys[-1] != _last_key(batch, chunk):
            _compact(bucket, batch, chunk, keys)
            if not deadline.remaining():
                return False
    return True


def current_parts(bucket: Bucket, batch: Batch) -> Iterator[str]:
    """Yield the keys of all parts in order, without those that were compacted into others."""
    # One listing for all chunks: there may be thousands of them.
    keys = bucket.keys(f"{batch_prefix(batch.id)}parts/")
    for chunk, group in groupby(keys, key=_chunk_number):
        for key in group:
            yield key
            if key == _last_key(batch, chunk):
                break  # the other parts of the chunk are compacted


def unique_results(bucket: Bucket, keys: Iterable[str], is_done: bytearray) -> Iterator[RowResult]:
    """Yield the first result of each row; rows of a killed worker may have been run again."""
    for _, text in read_parts(bucket, keys):
        for result in parse_part(text):
            if not is_done[result.row]:
                is_done[result.row] = 1
                yield result


def _compact(bucket: Bucket, batch: Batch, chunk: int, keys: list[str]) -> None:
    results: list[RowResult] = []
    size = number = 0
    for result in unique_results(bucket, keys, bytearray(batch.total)):
        results.append(result)
        size += len(result.line)
        if size >= _COMPACTED_PART_BYTES:
            bucket.put(part_key(batch.id, chunk, _ATTEMPT, number), format_part(results))
            results, size, number = [], 0, number + 1
    bucket.put(_last_key(batch, chunk), format_part(results))


def _chunk_number(key: str) -> int:
    return int(key.split("/")[-2])


def _last_key(batch: Batch, chunk: int) -> str:
    """Return the key of the last compacted part; it exists once all of them do."""
    return part_key(batch.id, chunk, _ATTEMPT, _LAST_NUMBER)
