"""What workers before this one have written of a chunk."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from llm_relay.batch.model.names import parts_prefix
from llm_relay.batch.model.parts import parse_part
from llm_relay.batch.model.prefetch import prefetch

if TYPE_CHECKING:
    from collections.abc import Collection

    from llm_relay.aws.s3 import Bucket
    from llm_relay.batch.model.manifest import Chunk
    from llm_relay.batch.model.parts import RowResult


@dataclass(slots=True, kw_only=True)
class Progress:
    """Which rows of a chunk are done; the first result of a row counts."""

    done: bytearray  # a byte for each row
    completed: int = 0
    failed: int = 0
    kept: dict[int, list[RowResult]] = field(default_factory=dict)  # by attempt

    @property
    def left(self) -> int:
        """How many rows have no result."""
        return len(self.done) - self.completed - self.failed


def progress_of(bucket: Bucket, batch_id: str, chunk: Chunk, attempts: Collection[int]) -> Progress:
    """Read the parts of a chunk; the results of some attempts are kept."""
    prefix = parts_prefix(batch_id, chunk.number)
    progress = Progress(done=bytearray(chunk.rows))
    for key, text in prefetch(bucket, bucket.keys(prefix)):
        attempt = int(key.removeprefix(prefix).partition("-")[0])
        results = list(parse_part(text))
        _count(progress, results, chunk.first_row)
        if attempt in attempts:
            progress.kept.setdefault(attempt, []).extend(results)
    return progress


def _count(progress: Progress, results: list[RowResult], first_row: int) -> None:
    for each in results:
        if not progress.done[each.row - first_row]:
            progress.done[each.row - first_row] = 1
            progress.completed += each.is_answer
            progress.failed += not each.is_answer
