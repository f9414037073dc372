"""What has come of an answer and can be read without waiting; knows the insides of http.client."""

from __future__ import annotations

from contextlib import suppress
from ssl import SSLWantReadError
from typing import Any

_LINE_END = b"\r\n"
_LAST_CHUNK = b"\r\n0\r\n\r\n"
_LONGEST_SIZE_LINE = 20


class Arrived:
    """The part of one answer that is here and not yet read."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw  # urllib3's response
        self._whole_chunks = 0  # of those in the buffer, as far as they are counted

    def is_more(self) -> bool:
        """Tell whether a read would return at once; OSError if the connection is broken."""
        if self._whole_chunks == 0:
            self._count()
        self._whole_chunks -= 1
        if self._whole_chunks < 0:
            self._whole_chunks = 0
            return False
        return True

    def _count(self) -> None:
        head: Any = self._raw._fp  # the one way to http.client's response
        buffered = self._buffered(head)
        if getattr(head, "chunked", False) and not head.chunk_left:
            self._whole_chunks = whole_chunks(buffered)
        else:
            self._whole_chunks = 1 if buffered else 0

    def _buffered(self, head: Any) -> bytes:
        """Return what is in the buffer, filled from the socket if it was empty."""
        reader, connection = getattr(head, "fp", None), self._raw.connection
        sock = connection and connection.sock
        if not reader or not sock:
            return b""
        patience = sock.gettimeout()
        try:
            sock.settimeout(0)
            buffered: bytes = reader.peek(1)
        except (BlockingIOError, SSLWantReadError):
            return b""
        finally:
            with suppress(OSError):  # closed meanwhile
                sock.settimeout(patience)
        return buffered


def whole_chunks(buffered: bytes) -> int:
    """Return how many chunks of HTTP's chunked coding are there from their size to their end.

    The buffer begins with the line end of the chunk before. Half a chunk does not count: to wait
    for its rest would hold back the events before it.
    """
    count = at = 0
    while buffered.startswith(_LINE_END, at) and not buffered.startswith(_LAST_CHUNK, at):
        line_end = buffered.find(_LINE_END, at + 2, at + 2 + _LONGEST_SIZE_LINE)
        if line_end < 0:
            return count
        try:
            at = line_end + 2 + int(buffered[at + 2 : line_end], 16)
        except ValueError:  # an extension after the size, or no size at all
            return count
        if at > len(buffered):
            return count
        count += 1
    return count + buffered.startswith(_LAST_CHUNK, at)
