"""A streamed answer on its way from the provider to the caller."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from llm_relay.errors import InternalError, ProviderRefused, RelayError, UpstreamBroke
from llm_relay.sse import KEEP_ALIVE, FrameBuffer, harmless
from llm_relay.telemetry import log_internal_error
from llm_relay.upstream import too_slow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llm_relay.deadline import Deadline
    from llm_relay.telemetry import Call
    from llm_relay.upstream import Reply
    from llm_relay.watch import StreamWatch

# How long to wait for the connection's end after the stream's, so that it can be used again.
_LINGER_SECONDS = 0.5


class RelayedStream:
    """Frames pass as they are, silence is filled with comments, a failure becomes an event.

    An iterator with `close`, and no generator: one that never started would close nothing.
    """

    def __init__(
        self,
        reply: Reply,
        watch: StreamWatch,
        call: Call,
        deadline: Deadline,
        keep_alive_seconds: float,
    ) -> None:
        self._reply = reply
        self._watch = watch
        self._call = call
        self._deadline = deadline
        self._keep_alive_seconds = keep_alive_seconds
        self._frames = FrameBuffer()
        self._first = b""
        self._over = False
        self._failure: RelayError | None = None

    def open(self) -> None:
        """Wait for the first event, or for the first comment that is due in its place.

        Raises a RelayError for a provider that refuses in its first event or ends without any;
        nothing has been answered yet, so the caller can be told by the status.
        """
        soon = self._deadline.within(self._keep_alive_seconds)
        while not self._watch.events and not self._over:
            try:
                self._first += self._read(soon.remaining())
            except TimeoutError:
                if not self._deadline.remaining():
                    raise too_slow() from None
                self._first += KEEP_ALIVE
                break
        if self._watch.error and self._watch.events == 1:
            raise refusal_in(self._watch.error)
        if self._over and not self._watch.finished:
            raise UpstreamBroke("The provider ended its stream before the first event.")
        self._call.note_first_byte()

    def __iter__(self) -> Iterator[bytes]:
        """Return the one pass there is."""
        return self

    def __next__(self) -> bytes:
        """Return the next whole frames."""
        piece, self._first = self._first, b""
        while not piece and not self._over:
            piece = self._next_piece()
        if piece:
            return piece
        self._finish(self._failure.code if self._failure else self._code_of_event())
        raise StopIteration

    def close(self) -> None:
        """Let go of the provider; a stream that is not over counts as left by its caller."""
        self._finish("caller_left")

    def _next_piece(self) -> bytes:
        patience = min(self._keep_alive_seconds, self._deadline.remaining())
        try:
            return self._read(_LINGER_SECONDS if self._watch.finished else patience)
        except TimeoutError:
            return self._fill_silence()
        except RelayError as error:
            return self._fail(error)
        except Exception as error:  # noqa: BLE001 - the caller must hear of it as well
            log_internal_error(error)
            return self._fail(InternalError("The relay itself failed. Its log has the request id."))

    def _read(self, seconds: float) -> bytes:
        chunk = self._call.effort.waiting_for(lambda: self._reply.take(seconds))
        if not chunk:
            return self._end()
        return self._pass(self._frames.feed(chunk))

    def _pass(self, frames: bytes) -> bytes:
        frames = harmless(frames)
        self._watch.see(frames)
        return frames

    def _end(self) -> bytes:
        rest = self._pass(self._frames.flush())
        closing = self._watch.closing()
        if closing is None and self._watch.events:
            return rest + self._fail(UpstreamBroke("The provider ended its stream too early."))
        self._over = True
        return rest + (closing or b"")

    def _fill_silence(self) -> bytes:
        if self._watch.finished:
            self._over = True
            return b""
        return KEEP_ALIVE if self._deadline.remaining() else self._fail(too_slow())

    def _fail(self, error: RelayError) -> bytes:
        self._over = True
        if self._watch.finished:  # the answer was whole; what came after it does not matter
            return b""
        self._failure = error
        return self._watch.failure(error)

    def _code_of_event(self) -> str | None:
        return "provider_error" if self._watch.error else None

    def _finish(self, code: str | None) -> None:
        self._over = True
        self._reply.close()
        self._call.model = self._watch.model
        self._call.usage = self._watch.usage
        self._call.finish(HTTPStatus.OK, code)


def refusal_in(error: dict[str, Any]) -> ProviderRefused:
    """Return the refusal that a provider sent with status 200."""
    shape = {"message": "The provider failed.", "type": "provider_error", "code": None}
    return ProviderRefused(_status_of(error), shape | error, {})


def _status_of(error: dict[str, Any]) -> int:
    for name in ("status", "status_code", "code"):
        status = error.get(name)
        if type(status) is int and HTTPStatus.BAD_REQUEST <= status < 600:  # noqa: PLR2004
            return status
    words = f"{error.get('type')} {error.get('code')}"
    if "rate_limit" in words:
        return HTTPStatus.TOO_MANY_REQUESTS
    return HTTPStatus.BAD_REQUEST if "invalid_request" in words else HTTPStatus.BAD_GATEWAY
