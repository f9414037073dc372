"""Reads the body of an answer from its connection; relies on private names of http.client.

Where a body ends: https://www.rfc-editor.org/rfc/rfc9112.html#section-6
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ssl import SSLWantReadError
from typing import Any

from urllib3.exceptions import HTTPError

from llm_relay.core.deadline import Deadline
from llm_relay.core.errors import UpstreamFailed

READ_BYTES = 65536
_MIN_TIMEOUT_SECONDS = 0.001  # 0 would make the socket non-blocking
_MAX_SIZE_LINE_BYTES = 65536
_BLANK_LINE = re.compile(rb"\n\r?\n")


class ChunkedFraming:
    """A body in chunks. Events often have a chunk each, so all received chunks are read at once."""

    def __init__(self) -> None:
        self.is_complete = False
        self.is_broken = False  # no more content can be read
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
        self.is_broken = False  # no more content can be read
        self.rest = b""  # what follows the body
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


BodyFraming = ChunkedFraming | PlainFraming


class BodyReader:
    """Reads a body from its socket, as much at a time as has arrived.

    A socket can be read again after a timeout; the readers of http.client and urllib3 cannot, and
    they spend more time on each chunk than everything else here together.
    """

    def __init__(self, raw: Any) -> None:
        self._raw = raw  # urllib3's response
        self._response = raw._fp  # http.client's
        is_chunked, length = self._response.chunked, self._response.length
        self._framing: BodyFraming = ChunkedFraming() if is_chunked else PlainFraming(length)
        self._socket = self._response.fp.raw._sock
        self._is_connection_lost = False
        self._has_undecoded = False  # the decoder holds more than it has returned
        self._received_early = self._read_available(self._response.fp.read1)

    def read(self, seconds: float) -> bytes:
        """Return what has arrived, b"" at the end; TimeoutError if nothing arrives in time."""
        deadline = Deadline.after(seconds)
        while self._has_undecoded or not self._framing.is_complete:
            content = b"" if self._has_undecoded else self._framing.feed(self._receive(deadline))
            if content := self._decode(content):
                return content
            if not (self._framing.is_complete or deadline.remaining()):
                raise TimeoutError
        self._release_connection()
        return b""

    def _receive(self, deadline: Deadline) -> bytes:
        """Wait for bytes and return all that have arrived; b"" at the connection's end."""
        if self._received_early:
            early, self._received_early = self._received_early, b""
            return early
        if self._is_connection_lost or self._framing.is_broken:
            raise _connection_lost()
        self._socket.settimeout(max(deadline.remaining(), _MIN_TIMEOUT_SECONDS))
        try:
            first: bytes = self._socket.recv(READ_BYTES)
        except TimeoutError:
            raise
        except OSError:
            raise _connection_lost() from None
        return first and first + self._receive_available()

    def _receive_available(self) -> bytes:
        """Return what else has arrived: passing on a burst event by event takes far longer."""
        pieces, room = [], READ_BYTES
        while room > 0 and (piece := self._read_available(self._socket.recv, room)):
            pieces.append(piece)
            room -= len(piece)
        return b"".join(pieces)

    def _read_available(
        self, read: Callable[[int], bytes | None], max_bytes: int = READ_BYTES
    ) -> bytes:
        """Read without waiting; a failure is raised by the next read that waits."""
        self._socket.settimeout(0)
        try:
            return read(max_bytes) or b""
        except (BlockingIOError, SSLWantReadError):
            return b""
        except OSError:
            self._is_connection_lost = True
            return b""

    def _decode(self, content: bytes) -> bytes:
        """Decompress, though compression was not requested; in parts, to bound the memory."""
        self._raw._init_decoder()
        decoder = self._raw._decoder
        if not decoder:
            return content
        try:
            decoded: bytes = self._raw._decode(content, True, False, max_length=READ_BYTES)
        except HTTPError:
            raise _connection_lost() from None
        self._has_undecoded = decoder.has_unconsumed_tail or len(decoded) >= READ_BYTES
        return decoded

    def _release_connection(self) -> None:
        """Return the connection to its pool, unless more was received than the body."""
        self._response.close()
        if not (self._framing.rest or self._received_early or self._is_connection_lost):
            self._raw.release_conn()


def _connection_lost() -> UpstreamFailed:
    return UpstreamFailed("The provider's answer broke off.")
