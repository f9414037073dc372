"""The parts of a chunk's results: an index on the first line, then the result lines."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING

from llm_relay.core.json_codec import compact

if TYPE_CHECKING:
    from llm_relay.aws.s3 import Bucket

Part = tuple[str, bytes]  # a key and its object

_THREADS = 16
_MAX_AHEAD = 32
_MAX_AHEAD_BYTES = 64 * 1024 * 1024
_FIRST_GUESS_BYTES = 8 * 1024 * 1024  # the size of an object before any is known

_indexed_values = attrgetter(
    "is_answer", "cost_nanos", "tokens_in", "tokens_cached", "tokens_out", "tokens_reasoning"
)


@dataclass(frozen=True, slots=True)
class RowResult:
    """The result of one row; a row without an answer may have a cost as well."""

    row: int  # counted from 0 over the whole file
    line: bytes  # of the output or the error file, with its line break
    is_answer: bool  # whether the line belongs to the output file
    cost_nanos: int = 0
    tokens_in: int = 0
    tokens_cached: int = 0
    tokens_out: int = 0
    tokens_reasoning: int = 0


@dataclass(slots=True, kw_only=True)
class ResultTotals:
    """Counts and sums over results."""

    completed: int = 0
    failed: int = 0
    cost_nanos: int = 0
    tokens_in: int = 0
    tokens_cached: int = 0
    tokens_out: int = 0
    tokens_reasoning: int = 0

    def add(self, result: RowResult) -> None:
        """Add one result."""
        self.completed += result.is_answer
        self.failed += not result.is_answer
        self.cost_nanos += result.cost_nanos
        self.tokens_in += result.tokens_in
        self.tokens_cached += result.tokens_cached
        self.tokens_out += result.tokens_out
        self.tokens_reasoning += result.tokens_reasoning


def format_part(results: Iterable[RowResult]) -> bytes:
    """Return the content of a part."""
    listed = list(results)
    index = [(each.row, len(each.line), *map(int, _indexed_values(each))) for each in listed]
    return b"\n".join([compact(index), b"".join(each.line for each in listed)])


def parse_part(text: bytes) -> Iterator[RowResult]:
    """Yield the results of a part; the lines themselves are not parsed."""
    start = text.index(b"\n") + 1
    for row, length, is_answer, *counts in json.loads(text[:start]):
        yield RowResult(row, text[start : start + length], bool(is_answer), *counts)
        start += length


def read_parts(bucket: Bucket, keys: Iterable[str]) -> Iterator[Part]:
    """Yield keys with their content, read ahead; fewer are held in memory if they are large."""
    ahead: deque[tuple[str, Future[bytes]]] = deque()
    size = _FIRST_GUESS_BYTES
    pool = ThreadPoolExecutor(_THREADS)
    try:
        for key in keys:
            ahead.append((key, pool.submit(bucket.get, key)))
            while len(ahead) > min(_MAX_AHEAD, _MAX_AHEAD_BYTES // size):
                first, content = ahead.popleft()
                size = max(len(content.result()), size // 2, 1)
                yield first, content.result()
        while ahead:
            key, last = ahead.popleft()
            yield key, last.result()
    finally:
        pool.shutdown(cancel_futures=True)
