"""Checks a file of rows and splits it into chunks, in one pass."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from llm_relay.batch.model.input_file import Chunk
from llm_relay.batch.model.record import error_entry
from llm_relay.batch.model.row_check import BatchRow, InvalidLine, RowChecker
from llm_relay.validation.fields import quote

if TYPE_CHECKING:
    from llm_relay.batch.model.input_file import Line

MAX_ROWS = 1_000_000
ROWS_PER_CHUNK = 2_000
MAX_REPORTED_ERRORS = 100
# The check ends here: this many errors are one mistake made many times.
MAX_ERRORS = 10_000

_MAX_CHUNK_BYTES = 64 * 1024 * 1024
# SQLite's own keys have eight bytes, and are the fastest. Two of a million ids collide in one of
# forty million files, which would be rejected by mistake.
_KEY_BYTES = 8
# An unnamed database is held in memory up to this size, and beyond it in a temporary file.
_CACHE_KIB = 16 * 1024


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
    max_rows: int = MAX_ROWS,
    on_row: Callable[[Line, BatchRow], None] | None = None,
) -> FileReport:
    """Check every line; `on_row` is called with the valid ones."""
    report = FileReport()
    with closing(_CustomIds()) as custom_ids:
        for line in lines:
            if report.rows >= max_rows:
                why = f"A batch has at most {max_rows:,} requests. Split the file at this line."
                report.add_error(InvalidLine("too_many_requests", why), line.number)
                break
            report.rows += 1
            _add_to_chunk(report.chunks, line, rows_per_chunk)
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
    if not report.rows:
        report.add_error(InvalidLine("empty_file", "The file has no requests. Write one per line."))
    return report


def _add_to_chunk(chunks: list[Chunk], line: Line, rows_per_chunk: int) -> None:
    """Add a line to the last chunk, or to a new one if that is full."""
    last = chunks[-1] if chunks else None
    if last and last.rows < rows_per_chunk and line.end - last.start <= _MAX_CHUNK_BYTES:
        chunks[-1] = replace(last, end=line.end, rows=last.rows + 1)
        return
    chunk = Chunk(number=len(chunks), start=line.start, end=line.end, first_row=line.row, rows=1)
    chunks.append(chunk)


class _CustomIds:
    """The custom ids of a file, with their line numbers."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)
        for setting in ("journal_mode=OFF", "synchronous=OFF", f"cache_size=-{_CACHE_KIB}"):
            self._database.execute(f"PRAGMA {setting}")
        self._database.execute("CREATE TABLE ids (key INTEGER PRIMARY KEY, line INTEGER)")
        self._database.execute("BEGIN")

    def close(self) -> None:
        self._database.close()

    def add(self, custom_id: str, line: int) -> None:
        """Add an id; InvalidLine if another line has it."""
        content = custom_id.encode("utf-8", "surrogatepass")
        digest = blake2b(content, digest_size=_KEY_BYTES).digest()
        key = int.from_bytes(digest, signed=True)
        insert = "INSERT OR IGNORE INTO ids VALUES (?, ?)"
        if not self._database.execute(insert, (key, line)).rowcount:
            found = self._database.execute("SELECT line FROM ids WHERE key = ?", (key,))
            raise InvalidLine(
                "duplicate_custom_id",
                f"The custom_id {quote(custom_id)} is already used on line {found.fetchone()[0]}. "
                "Give every line a unique custom_id.",
                "custom_id",
            )
