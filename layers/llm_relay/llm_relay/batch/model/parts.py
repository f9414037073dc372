"""A part of a chunk's results: an index on the first line, then the result lines."""

from __future__ import annotations

import json
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING

from llm_relay.core.json_codec import compact

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_indexed_values = attrgetter(
    "is_answer", "cost_nanos", "tokens_in", "tokens_cached", "tokens_out", "tokens_reasoning"
)


@dataclass(frozen=True, slots=True, kw_only=True)
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


def format_part(results: Iterable[RowResult]) -> bytes:
    """Return the content of a part."""
    listed = list(results)
    index = [(each.row, len(each.line), *map(int, _indexed_values(each))) for each in listed]
    return b"\n".join([compact(index), b"".join(each.line for each in listed)])


def parse_part(text: bytes) -> Iterator[RowResult]:
    """Yield the results of a part; the lines themselves are not parsed."""
    start = text.index(b"\n") + 1
    for row, length, is_answer, cost, tokens_in, cached, tokens_out, reasoning in json.loads(
        text[:start]
    ):
        yield RowResult(
            row=row,
            line=text[start : start + length],
            is_answer=bool(is_answer),
            cost_nanos=cost,
            tokens_in=tokens_in,
            tokens_cached=cached,
            tokens_out=tokens_out,
            tokens_reasoning=reasoning,
        )
        start += length
