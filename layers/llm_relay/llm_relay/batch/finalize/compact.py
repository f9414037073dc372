"""Makes few parts of many.

Where a provider answers slowly, each part holds a row or two. A million of them take an hour to
fetch, and a function has a quarter of that; so chunks are made short one by one, over as many
invocations as it takes, before anything is put together.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from llm_relay.batch.model.manifest import parse_manifest
from llm_relay.batch.model.names import batch_prefix, manifest_key, part_key
from llm_relay.batch.model.parts import format_part, parse_part
from llm_relay.batch.model.prefetch import prefetch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from llm_relay.aws.s3 import Bucket
    from llm_relay.batch.model.manifest import Chunk
    from llm_relay.batch.model.parts import RowResult
    from llm_relay.batch.model.prefetch import Part
    from llm_relay.batch.model.record import Batch
    from llm_relay.core.deadline import Deadline

# As many as are fetched in a minute.
MAX_PARTS = 20_000

_PIECE_BYTES = 16 * 1024 * 1024
# Workers begin with 1, so these come first in order.
_GENERATION = 0
_LAST = 999_999


def compact_parts(
    bucket: Bucket, batch: Batch, soon: Deadline, most_parts: int = MAX_PARTS
) -> bool:
    """Return whether all chunks are short now; one at least is made so in any case."""
    chunks = parse_manifest(bucket.get(manifest_key(batch.id)))
    for number, group in groupby(current_parts(bucket, batch), key=chunk_number):
        keys = list(group)
        if len(keys) > max(1, most_parts // len(chunks)) and keys[-1] != _last(batch, number):
            _condense(bucket, batch, chunks[number], keys)
            if not soon.remaining():
                return False
    return True


def current_parts(bucket: Bucket, batch: Batch) -> Iterator[str]:
    """Yield the keys of all parts in order, without those that were made into fewer."""
    condensed = ""
    # One listing for all chunks: there may be thousands of them.
    for key in bucket.keys(f"{batch_prefix(batch.id)}parts/"):
        if not condensed or not key.startswith(condensed):
            yield key
        if key == _last(batch, chunk_number(key)):
            condensed = key.rpartition("/")[0] + "/"


def chunk_number(key: str) -> int:
    """Return which chunk a part is of."""
    return int(key.split("/")[-2])


def unique_results(chunk: Chunk, parts: Iterable[Part], is_done: bytearray) -> Iterator[RowResult]:
    """Yield one result for each row that was run, even if a killed worker's were run again."""
    for _, text in parts:
        for result in parse_part(text):
            at = result.row - chunk.first_row
            if not is_done[at]:
                is_done[at] = 1
                yield result


def _condense(bucket: Bucket, batch: Batch, chunk: Chunk, keys: list[str]) -> None:
    held: list[RowResult] = []
    size = piece = 0
    for result in unique_results(chunk, prefetch(bucket, keys), bytearray(chunk.rows)):
        held.append(result)
        size += len(result.line)
        if size >= _PIECE_BYTES:
            bucket.put(part_key(batch.id, chunk.number, _GENERATION, piece), format_part(held))
            held, size, piece = [], 0, piece + 1
    bucket.put(_last(batch, chunk.number), format_part(held))


def _last(batch: Batch, chunk: int) -> str:
    """Return the key of the piece that says that there are all of them."""
    return part_key(batch.id, chunk, _GENERATION, _LAST)
