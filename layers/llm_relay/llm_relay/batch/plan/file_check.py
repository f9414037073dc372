"""One pass over a file of rows: what is wrong with it, and how it is cut into chunks."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llm_relay.batch.model.record import error_entry
from llm_relay.batch.model.row_check import InvalidLine
from llm_relay.batch.plan.chunker import Chunker
from llm_relay.batch.plan.custom_ids import CustomIds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from llm_relay.batch.model.lines import Line
    from llm_relay.batch.model.manifest import Chunk
    from llm_relay.batch.model.row_check import BatchRow, RowChecker

MAX_ROWS = 1_000_000
ROWS_PER_CHUNK = 2_000
MAX_REPORTED_ERRORS = 100
# Whoever has more has made one mistake many times.
MAX_ERRORS = 10_000


@dataclass(slots=True, kw_only=True)
class FileReport:
    """What a file holds, and what is wrong with it."""

    rows: int = 0
    chunks: list[Chunk] = field(default_factory=list)
    errors: list[dict[str, Any]] = field(default_factory=list)  # the first hundred
    error_count: int = 0

    def note(self, bad: InvalidLine, line: int | None = None) -> None:
        """Keep an error, if it is among the first, and count it."""
        self.error_count += 1
        if len(self.errors) < MAX_REPORTED_ERRORS:
            self.errors.append(error_entry(bad.code, bad.message, line, bad.param))


def check_file(
    lines: Iterable[Line],
    checker: RowChecker,
    rows_per_chunk: int = ROWS_PER_CHUNK,
    see: Callable[[Line, BatchRow], None] | None = None,
    most_rows: int = MAX_ROWS,
) -> FileReport:
    """Check every line; `see` is shown the good ones."""
    findings, cutter = FileReport(), Chunker(rows_per_chunk)
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
            except InvalidLine as bad:
                findings.note(bad, line.number)
                if findings.error_count >= MAX_ERRORS:
                    break
                continue
            if see:
                see(line, row)
    findings.chunks = cutter.chunks()
    if not findings.rows:
        findings.note(InvalidLine("empty_file", "The file holds no requests. Send one per line."))
    return findings


def _too_many(most_rows: int) -> InvalidLine:
    why = f"A batch takes at most {most_rows:,} requests. Split the file from this line on."
    return InvalidLine("too_many_requests", why)
