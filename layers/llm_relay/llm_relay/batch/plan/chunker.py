"""Cuts a file into the chunks that workers take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llm_relay.batch.model.manifest import Chunk

if TYPE_CHECKING:
    from llm_relay.batch.model.lines import Line

LARGEST_CHUNK_BYTES = 64 * 1024 * 1024


class Chunker:
    """Takes the lines of a file in order; chunks end by rows or by bytes."""

    def __init__(self, rows_per_chunk: int) -> None:
        self._rows_per_chunk = rows_per_chunk
        self._chunks: list[Chunk] = []
        self._first: Line | None = None  # of the chunk that is still open
        self._end = self._rows = 0

    def add(self, line: Line) -> None:
        """Put a line into a chunk."""
        first = self._first
        is_full = first is None or self._rows >= self._rows_per_chunk
        if first is None or is_full or line.end - first.start > LARGEST_CHUNK_BYTES:
            self._close()
            self._first = line
        self._rows += 1
        self._end = line.end

    def chunks(self) -> list[Chunk]:
        """Return all chunks, the last of which ends here."""
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
