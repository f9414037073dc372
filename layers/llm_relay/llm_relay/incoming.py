"""The body of an answer as it comes off its connection; knows the insides of http.client."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from urllib3.exceptions import HTTPError

from llm_relay.deadline import Deadline
from llm_relay.errors import UpstreamBroke
from llm_relay.framing import Chunked, Unchunked

if TYPE_CHECKING:
    from llm_relay.framing import Framing

PIECE_BYTES = 65536
_LEAST_SECONDS = 0.001  # none would mean: do not wait


class Incoming:
    """Takes a body from its socket, as much at a time as there is.

    A socket can be waited for again after a time-out, the readers of http.client and urllib3
    cannot. And what they do for each chunk takes longer than all that we do with it.
    """

    def __init__(self, raw: Any) -> None:
        self._raw = raw  # urllib3's response
        self._head = raw._fp  # http.client's
        framing: Framing = Chunked() if self._head.chunked else Unchunked(self._head.length)
        self._framing = framing
        self._sock = self._head.fp.raw._sock
        self._early = self._read_early()

    def take(self, seconds: float) -> bytes:
        """Return what has come, b"" at the end; TimeoutError if nothing comes in time."""
        deadline = Deadline.after(seconds)
        while not self._framing.is_over:
            if self._framing.is_broken:
                raise _broken_off()
            if content := self._decoded(self._framing.feed(self._receive(deadline))):
                return content
        self._let_go()
        return b""

    def _read_early(self) -> bytes:
        """Return what http.client has read along with the head."""
        self._sock.settimeout(0)
        with suppress(OSError):  # that there is nothing; what is broken will show
            return self._head.fp.read1(PIECE_BYTES) or b""
        return b""

    def _receive(self, deadline: Deadline) -> bytes:
        """Return what is here, after waiting for the first of it; b"" at the connection's end."""
        if self._early:
            early, self._early = self._early, b""
            return early
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
        self._sock.settimeout(0)
        with suppress(OSError):
            while room > 0 and (piece := self._sock.recv(room)):
                pieces.append(piece)
                room -= len(piece)
        return b"".join(pieces)

    def _decoded(self, content: bytes) -> bytes:
        """Undo a compression, which was not asked for."""
        try:
            self._raw._init_decoder()
            decoded: bytes = self._raw._decode(content, decode_content=True, flush_decoder=False)
        except HTTPError:
            raise _broken_off() from None
        return decoded

    def _let_go(self) -> None:
        """Give the connection back for the next call, unless more came than was to come."""
        self._head.close()
        if not self._framing.rest:
            self._raw.release_conn()


def _broken_off() -> UpstreamBroke:
    return UpstreamBroke("The provider's answer broke off.")
