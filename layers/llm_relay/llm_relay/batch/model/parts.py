"""A part of a chunk's results: an index on the first line, then the lines as callers get them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_relay.core.json_codec import compact

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@dataclass(frozen=True, slots=True, kw_only=True)
class RowResult:
    """What became of one row."""

    row: int  # counted from 0 over the whole file
    line: bytes  # of the output or the error file, with its line break
    is_answer: bool  # a line of the output file, else of the error file
    # What it cost and used; a row without an answer may have been paid for all the same.
    cost_nanos: int = 0
    tokens_in: int = 0
    tokens_cached: int = 0
    tokens_out: int = 0
    tokens_reasoning: int = 0


def format_part(results: Iterable[RowResult]) -> bytes:
    """Return results as a part keeps them."""
    kept = list(results)
    index = [
        (
            each.row,
            len(each.line),
            int(each.is_answer),
            each.cost_nanos,
            each.tokens_in,
            each.tokens_cached,
            each.tokens_out,
            each.tokens_reasoning,
        )
        for each in kept
    ]
    return b"\n".join([compact(index), b"".join(each.line for each in kept)])


def parse_part(text: bytes) -> Iterator[RowResult]:
    """Read a part, result by result, without a look into the lines."""
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
