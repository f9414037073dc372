"""Splits a file into chunks for the workers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llm_relay.batch.model.manifest import Chunk

if TYPE_CHECKING:
    from llm_relay.batch.model.lines import Line

_MAX_CHUNK_BYTES = 64 * 1024 * 1024


class Chunker:
    """Collects the lines of a file in order; a chunk is limited by rows and by bytes."""

    def __init__(self, rows_per_chunk: int) -> None:
        self._rows_per_chunk = rows_per_chunk
        self._chunks: list[Chunk] = []
        self._first: Line | None = None  # line of the current chunk
        self._end = self._rows = 0

    def add(self, line: Line) -> None:
        """Add a line to the current chunk, or to a new one if that is full."""
        is_full = self._rows >= self._rows_per_chunk
        if self._first is None or is_full or line.end - self._first.start > _MAX_CHUNK_BYTES:
            self._close()
            self._first = line
        self._rows += 1
        self._end = line.end

    def chunks(self) -> list[Chunk]:
        """Return all chunks, including the current one."""
        self._close()
        return self._chunks

    def _close(self) -> None:
        if self._first:
            chunk = Chunk(
                number=len(self._chunks),
                start=self._first.start,
                end=self._end,
                first_row=self._first.row,
                rows=self._rows,
            )
            self._chunks.append(chunk)
        self._first, self._rows = None, 0
