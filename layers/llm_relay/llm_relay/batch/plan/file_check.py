"""Checks a file of rows and splits it into chunks, in one pass."""

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
# The check ends here: this many errors are one mistake made many times.
MAX_ERRORS = 10_000


@dataclass(slots=True, kw_only=True)
class FileReport:
    """The chunks and the errors of a file."""

    rows: int = 0
    chunks: list[Chunk] = field(default_factory=list)
    errors: list[dict[str, Any]] = field(default_factory=list)  # at most MAX_REPORTED_ERRORS
    error_count: int = 0

    def add_error(self, error: InvalidLine, line: int | None = None) -> None:
        """Count an error, and report it if it is among the first."""
        self.error_count += 1
        if len(self.errors) < MAX_REPORTED_ERRORS:
            self.errors.append(error_entry(error.code, error.message, line, error.param))


def check_file(
    lines: Iterable[Line],
    checker: RowChecker,
    rows_per_chunk: int = ROWS_PER_CHUNK,
    on_row: Callable[[Line, BatchRow], None] | None = None,
    max_rows: int = MAX_ROWS,
) -> FileReport:
    """Check every line; `on_row` is called with the valid ones."""
    report, chunker = FileReport(), Chunker(rows_per_chunk)
    with closing(CustomIds()) as custom_ids:
        for line in lines:
            if report.rows >= max_rows:
                why = f"A batch has at most {max_rows:,} requests. Split the file at this line."
                report.add_error(InvalidLine("too_many_requests", why), line.number)
                break
            report.rows += 1
            chunker.add(line)
            try:
                row = checker.check(line)
                custom_ids.add(row.custom_id, line.number)
            except InvalidLine as error:
                report.add_error(error, line.number)
                if report.error_count >= MAX_ERRORS:
                    break
                continue
            if on_row:
                on_row(line, row)
    report.chunks = chunker.chunks()
    if not report.rows:
        why = "The file has no requests. Write one per line."
        report.add_error(InvalidLine("empty_file", why))
    return report
