"""Reads the body of an answer from its connection; relies on private names of http.client."""

from __future__ import annotations

from collections.abc import Callable
from ssl import SSLWantReadError
from typing import Any

from urllib3.exceptions import HTTPError

from llm_relay.core.deadline import Deadline
from llm_relay.core.errors import UpstreamFailed
from llm_relay.transport.body_framing import BodyFraming, ChunkedFraming, PlainFraming

READ_BYTES = 65536
_MIN_TIMEOUT_SECONDS = 0.001  # 0 would make the socket non-blocking


class BodyReader:
    """Reads a body from its socket, as much at a time as has arrived.

    A socket can be read again after a timeout; the readers of http.client and urllib3 cannot, and
    they spend more time on each chunk than everything else here together.
    """

    def __init__(self, raw: Any) -> None:
        self._raw = raw  # urllib3's response
        self._response = raw._fp  # http.client's
        self._framing: BodyFraming = (
            ChunkedFraming() if self._response.chunked else PlainFraming(self._response.length)
        )
        self._socket = self._response.fp.raw._sock
        self._is_connection_lost = False
        self._has_undecoded = False  # the decoder holds more than it has returned
        self._received_early = self._read_available(self._response.fp.read1)

    def read(self, seconds: float) -> bytes:
        """Return what has arrived, b"" at the end; TimeoutError if nothing arrives in time."""
        deadline = Deadline.after(seconds)
        while self._has_undecoded or not self._framing.is_complete:
            if content := self._decode(
                b"" if self._has_undecoded else self._read_content(deadline)
            ):
                return content
            if not (self._framing.is_complete or deadline.remaining()):
                raise TimeoutError
        self._release_connection()
        return b""

    def _read_content(self, deadline: Deadline) -> bytes:
        if self._framing.is_broken:
            raise _connection_lost()
        return self._framing.feed(self._receive(deadline))

    def _receive(self, deadline: Deadline) -> bytes:
        """Wait for bytes and return all that have arrived; b"" at the connection's end."""
        if self._received_early:
            early, self._received_early = self._received_early, b""
            return early
        if self._is_connection_lost:
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
