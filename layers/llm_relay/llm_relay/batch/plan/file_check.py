"""One pass over a file of rows: what is wrong with it, and how it is cut into chunks."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llm_relay.batch.model.row_check import BadLine
from llm_relay.batch.plan.chunker import Chunker
from llm_relay.batch.plan.custom_ids import CustomIds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from llm_relay.batch.model.lines import Line
    from llm_relay.batch.model.manifest import Chunk
    from llm_relay.batch.model.row_check import Row, RowChecker

MAX_ROWS = 1_000_000
ROWS_PER_CHUNK = 2_000
ERRORS_SHOWN = 100
# Whoever has more has made one mistake many times.
MOST_ERRORS = 10_000

_LONGEST_MESSAGE = 500


@dataclass(slots=True, kw_only=True)
class Findings:
    """What a file holds, and what is wrong with it."""

    rows: int = 0
    chunks: list[Chunk] = field(default_factory=list)
    errors: list[dict[str, Any]] = field(default_factory=list)  # the first hundred
    error_count: int = 0

    def note(self, bad: BadLine, line: int | None = None) -> None:
        """Keep an error, if it is among the first, and count it."""
        self.error_count += 1
        if len(self.errors) < ERRORS_SHOWN:
            self.errors.append(error_entry(bad.code, bad.message, line, bad.param))


def error_entry(
    code: str, message: str, line: int | None = None, param: str | None = None
) -> dict[str, Any]:
    """Return one of the errors of a batch, as OpenAI's API shows them."""
    return {"code": code, "line": line, "message": message[:_LONGEST_MESSAGE], "param": param}


def check_file(
    lines: Iterable[Line],
    checker: RowChecker,
    rows_per_chunk: int = ROWS_PER_CHUNK,
    see: Callable[[Line, Row], None] | None = None,
    most_rows: int = MAX_ROWS,
) -> Findings:
    """Check every line; `see` is shown the good ones."""
    findings, cutter = Findings(), Chunker(rows_per_chunk)
    with closing(CustomIds()) as custom_ids:
        for line in lines:
            if findings.rows >= most_rows:
                findings.note(_too_many(most_rows), line.number)
                break
            findings.rows += 1
            cutter.add(line)
            try:
                row = checker.check(line)
                custom_ids.add(row.custom_id, line.number)
            except BadLine as bad:
                findings.note(bad, line.number)
                if findings.error_count >= MOST_ERRORS:
                    break
                continue
            if see:
                see(line, row)
    findings.chunks = cutter.chunks()
    if not findings.rows:
        findings.note(BadLine("empty_file", "The file holds no requests. Send one per line."))
    return findings


def _too_many(most_rows: int) -> BadLine:
    why = f"A batch takes at most {most_rows:,} requests. Split the file from this line on."
    return BadLine("too_many_requests", why)
