"""The body of an answer as it comes off its connection; knows the insides of http.client."""

from __future__ import annotations

from ssl import SSLWantReadError
from typing import TYPE_CHECKING, Any

from urllib3.exceptions import HTTPError

from llm_relay.core.deadline import Deadline
from llm_relay.core.errors import UpstreamFailed
from llm_relay.transport.body_framing import Chunked, Unchunked

if TYPE_CHECKING:
    from collections.abc import Callable

    from llm_relay.transport.body_framing import BodyFraming

PIECE_BYTES = 65536
_LEAST_SECONDS = 0.001  # none would mean: do not wait


class BodyReader:
    """Takes a body from its socket, as much at a time as there is.

    A socket can be waited for again after a time-out, the readers of http.client and urllib3
    cannot. And what they do for each chunk takes longer than all that we do with it.
    """

    def __init__(self, raw: Any) -> None:
        self._raw = raw  # urllib3's response
        self._head = raw._fp  # http.client's
        framing: BodyFraming = Chunked() if self._head.chunked else Unchunked(self._head.length)
        self._framing = framing
        self._sock = self._head.fp.raw._sock
        self._is_lost = False  # the connection, after what has come by now
        self._is_packed = False  # there is more in what has come than was decoded
        self._early = self._at_once(self._head.fp.read1)

    def take(self, seconds: float) -> bytes:
        """Return what has come, b"" at the end; TimeoutError if nothing comes in time."""
        deadline = Deadline.after(seconds)
        while self._is_packed or not self._framing.is_over:
            if content := self._decoded(b"" if self._is_packed else self._content(deadline)):
                return content
            if not (self._framing.is_over or deadline.remaining()):
                raise TimeoutError
        self._let_go()
        return b""

    def _content(self, deadline: Deadline) -> bytes:
        """Return content as it was sent."""
        if self._framing.is_broken:
            raise _broken_off()
        return self._framing.feed(self._receive(deadline))

    def _receive(self, deadline: Deadline) -> bytes:
        """Return what is here, after waiting for the first of it; b"" at the connection's end."""
        if self._early:
            early, self._early = self._early, b""
            return early
        if self._is_lost:
            raise _broken_off()
        self._sock.settimeout(max(deadline.remaining(), _LEAST_SECONDS))
        try:
            first: bytes = self._sock.recv(PIECE_BYTES)
        except TimeoutError:
            raise
        except OSError:
            raise _broken_off() from None
        return first and first + self._more()

    def _more(self) -> bytes:
        """Return what else is here: to pass each event of a burst on by itself takes far longer."""
        pieces, room = [], PIECE_BYTES
        while room > 0 and (piece := self._at_once(self._sock.recv, room)):
            pieces.append(piece)
            room -= len(piece)
        return b"".join(pieces)

    def _at_once(self, read: Callable[[int], bytes | None], most: int = PIECE_BYTES) -> bytes:
        """Return what can be read without waiting; a failure is for who waits for more."""
        self._sock.settimeout(0)
        try:
            return read(most) or b""
        except (BlockingIOError, SSLWantReadError):
            return b""
        except OSError:
            self._is_lost = True
            return b""

    def _decoded(self, content: bytes) -> bytes:
        """Undo a compression, which was not asked for; in pieces, as a little may become a lot."""
        self._raw._init_decoder()
        decoder = self._raw._decoder
        if not decoder:
            return content
        try:
            decoded: bytes = self._raw._decode(content, True, False, max_length=PIECE_BYTES)
        except HTTPError:
            raise _broken_off() from None
        # A full piece may have left some inside the decoder.
        self._is_packed = decoder.has_unconsumed_tail or len(decoded) >= PIECE_BYTES
        return decoded

    def _let_go(self) -> None:
        """Give the connection back for the next call, unless more came than was to come."""
        self._head.close()
        if not (self._framing.rest or self._early or self._is_lost):
            self._raw.release_conn()


def _broken_off() -> UpstreamFailed:
    return UpstreamFailed("The provider's answer broke off.")
