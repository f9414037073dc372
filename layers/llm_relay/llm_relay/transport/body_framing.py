"""Finds where the body of an answer ends: chunked coding, a length, or the connection's end.

https://www.rfc-editor.org/rfc/rfc9112.html#section-6
"""

from __future__ import annotations

import re
from typing import Protocol

_MAX_SIZE_LINE_BYTES = 65536
_BLANK_LINE = re.compile(rb"\n\r?\n")


class BodyFraming(Protocol):
    """Separates a body from its framing and from what follows it on the connection."""

    is_complete: bool
    is_broken: bool  # no more content can be read
    rest: bytes  # bytes that are no content; once the body is complete, what follows it

    def feed(self, data: bytes) -> bytes:
        """Return the content in received bytes; b"" is the connection's end."""


class ChunkedFraming:
    """A body in chunks. Events often have a chunk each, so all received chunks are read at once."""

    def __init__(self) -> None:
        self.is_complete = self.is_broken = False
        self.rest = b"\r\n"  # as if a chunk had just ended: a line end precedes each size
        self._chunk_left = 0  # bytes of the current chunk
        self._is_last_chunk = False  # only trailers may follow

    def feed(self, data: bytes) -> bytes:
        """Return the content in received bytes; b"" is the connection's end."""
        if not data:
            self.is_complete, self.is_broken = self._is_last_chunk, not self._is_last_chunk
        data, at, pieces = self.rest + data, 0, []
        while not self._is_last_chunk:
            piece = data[at : at + self._chunk_left]
            pieces.append(piece)
            at += len(piece)
            self._chunk_left -= len(piece)
            line_end = -1 if self._chunk_left else data.find(b"\n", at + 2)
            if line_end < 0 or not self._begin_chunk(data[at + 2 : line_end]):
                break
            at = line_end + (not self._is_last_chunk)
        self._keep_rest(data[at:])
        return b"".join(pieces)

    def _begin_chunk(self, size_line: bytes) -> bool:
        """Read a chunk's size, without its extensions; return whether it is valid."""
        try:
            self._chunk_left = int(size_line.partition(b";")[0], 16)
        except ValueError:
            self._chunk_left = -1
        self._is_last_chunk = self._chunk_left == 0
        self.is_broken = self._chunk_left < 0
        return not self.is_broken

    def _keep_rest(self, rest: bytes) -> None:
        self.rest = rest
        self.is_broken |= len(rest) > _MAX_SIZE_LINE_BYTES
        if self._is_last_chunk and (end := _BLANK_LINE.search(rest)):
            self.is_complete = True
            self.rest = rest[end.end() :]


class PlainFraming:
    """A body that ends after its length, or without one at the connection's end."""

    def __init__(self, length: int | None) -> None:
        self.is_complete = length == 0
        self.is_broken = False
        self.rest = b""
        self._left = length

    def feed(self, data: bytes) -> bytes:
        """Return the content in received bytes; b"" is the connection's end."""
        if self._left is None:
            self.is_complete = not data
            return data
        content, self.rest = data[: self._left], data[self._left :]
        self._left -= len(content)
        self.is_complete = not self._left
        self.is_broken = not data
        return content
