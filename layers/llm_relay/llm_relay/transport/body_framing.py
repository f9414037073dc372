"""Where the body of an answer ends: HTTP's chunked coding, a length, or the connection's end.

https://www.rfc-editor.org/rfc/rfc9112.html#section-6
"""

from __future__ import annotations

import re
from typing import Protocol

_LONGEST_SIZE_LINE = 65536
_BLANK_LINE = re.compile(rb"\n\r?\n")


class BodyFraming(Protocol):
    """How a body is told from whatever else comes on its connection."""

    is_over: bool
    is_broken: bool  # nothing more can be had of it
    rest: bytes  # what is no content, and once the body is over, no part of it

    def feed(self, data: bytes) -> bytes:
        """Return the content in what has come; nothing, b"", is the connection's end."""


class Chunked:
    """A body in chunks. Events often have a chunk each, so all that are here are taken at once."""

    def __init__(self) -> None:
        self.is_over = self.is_broken = False
        self.rest = b"\r\n"  # as if a chunk had just ended: a line end, and then a size
        self._left = 0  # of the chunk that has begun
        self._is_last = False  # no chunk follows, but trailers may

    def feed(self, data: bytes) -> bytes:
        """Return the content in what has come; nothing, b"", is the connection's end."""
        if not data:
            self.is_over, self.is_broken = self._is_last, not self._is_last
        data, at, pieces = self.rest + data, 0, []
        while not self._is_last:
            piece = data[at : at + self._left]
            pieces.append(piece)
            at += len(piece)
            self._left -= len(piece)
            line_end = -1 if self._left else data.find(b"\n", at + 2)
            if line_end < 0 or not self._begin(data[at + 2 : line_end]):
                break
            at = line_end + (not self._is_last)
        self._keep(data[at:])
        return b"".join(pieces)

    def _begin(self, line: bytes) -> bool:
        """Take a chunk's size, without its extensions; False if it is none."""
        try:
            self._left = int(line.partition(b";")[0], 16)
        except ValueError:
            self._left = -1
        self._is_last = self._left == 0
        self.is_broken = self._left < 0
        return not self.is_broken

    def _keep(self, rest: bytes) -> None:
        self.rest = rest
        self.is_broken |= len(rest) > _LONGEST_SIZE_LINE
        if self._is_last and (end := _BLANK_LINE.search(rest)):
            self.is_over = True
            self.rest = rest[end.end() :]


class Unchunked:
    """A body that goes as far as its length, or without one to the connection's end."""

    def __init__(self, length: int | None) -> None:
        self.is_over = length == 0
        self.is_broken = False
        self.rest = b""
        self._left = length

    def feed(self, data: bytes) -> bytes:
        """Return the content in what has come; nothing, b"", is the connection's end."""
        if self._left is None:
            self.is_over = not data
            return data
        content, self.rest = data[: self._left], data[self._left :]
        self._left -= len(content)
        self.is_over = not self._left
        self.is_broken = not data
        return content
