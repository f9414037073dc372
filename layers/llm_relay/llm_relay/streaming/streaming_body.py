"""A streamed answer on its way from the provider to the caller."""

from __future__ import annotations

from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from llm_relay.core.error_log import log_internal_error
from llm_relay.core.errors import InternalError, ProviderRefused, RelayError, UpstreamFailed
from llm_relay.providers.client import provider_refusal
from llm_relay.streaming.sse import KEEP_ALIVE, FrameBuffer, harmless
from llm_relay.transport.http_transport import timeout_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from llm_relay.core.deadline import Deadline
    from llm_relay.observability.call_record import CallRecord
    from llm_relay.streaming.normalizer import StreamNormalizer
    from llm_relay.transport.http_transport import HttpReply

# How long to wait for the connection's end after the stream's, so that it can be used again.
_LINGER_SECONDS = 0.5


class StreamingBody:
    """Frames pass as they are, silence is filled with comments, a failure becomes an event.

    An iterator with `close`, and no generator: one that never started would close nothing.
    """

    def __init__(
        self,
        reply: HttpReply,
        watch: StreamNormalizer,
        call: CallRecord,
        deadline: Deadline,
        keep_alive_seconds: float,
    ) -> None:
        self._reply = reply
        self._watch = watch
        watch.key = call.effort.key
        self._call = call
        self._deadline = deadline
        self._keep_alive_seconds = keep_alive_seconds
        self._frames = FrameBuffer()
        self._first = b""
        self._over = False
        self._linger: Deadline | None = None
        self._failure: RelayError | None = None
        # Is told, at the end, what came of it: a failure before the first event, or none.
        self.heard: Callable[[RelayError | None], None] | None = None

    @property
    def is_silent(self) -> bool:
        """Tell whether no event has come."""
        return not self._watch.events

    def open(self) -> None:
        """Wait for the first event, or for the first comment that is due in its place.

        Raises a RelayError for a provider that refuses in its first event or ends without any;
        nothing has been answered yet, so the caller can be told by the status.
        """
        soon = self._deadline.within(self._keep_alive_seconds)
        while not self._watch.events and not self._over and soon.remaining():
            with suppress(TimeoutError):
                self._first += self._read(soon.remaining())
        if self._watch.refusal:
            raise refusal_in(self._watch.refusal)
        if self._failure and self.is_silent:
            raise self._failure
        if not self._deadline.remaining():
            raise timeout_error()
        self._first = self._first or KEEP_ALIVE
        self._call.note_first_byte()

    def __iter__(self) -> Iterator[bytes]:
        """Return the one pass there is."""
        return self

    def __next__(self) -> bytes:
        """Return the next whole frames."""
        piece, self._first = self._first, b""
        due = self._deadline.within(self._keep_alive_seconds)
        while not piece and not self._over:
            piece = self._next_piece(due)
        if piece:
            return piece
        self._finish(self._failure.code if self._failure else self._watch.failure_code)
        raise StopIteration

    def close(self) -> None:
        """Let go of the provider; a stream that is not over counts as left by its caller."""
        self._finish("caller_left")

    def _next_piece(self, due: Deadline) -> bytes:
        # What is held back or taken out is silence to the caller, however busy the provider is.
        seconds = self._patience(due)
        if not seconds:
            return self._fill_silence()
        try:
            return self._read(seconds)
        except TimeoutError:
            return self._fill_silence()
        except RelayError as error:
            return self._fail(error)
        except Exception as error:  # noqa: BLE001 - the caller must hear of it as well
            log_internal_error(error, self._call.request_id)
            return self._fail(InternalError("The relay itself failed. Its log has the request id."))

    def _patience(self, due: Deadline) -> float:
        if not self._watch.finished:
            return due.remaining()
        self._linger = self._linger or self._deadline.within(_LINGER_SECONDS)
        return self._linger.remaining()

    def _read(self, seconds: float) -> bytes:
        chunk = self._call.effort.waiting_for(lambda: self._reply.read(seconds))
        if not chunk:
            return self._end()
        return self._pass(self._frames.feed(chunk))

    def _pass(self, frames: bytes) -> bytes:
        passed = self._watch.pass_on(harmless(frames))
        broken, self._watch.broken = self._watch.broken, None
        if not broken:
            return passed
        if not self._watch.events:
            raise broken
        return passed + self._fail(broken)

    def _end(self) -> bytes:
        rest = self._pass(self._frames.flush())
        if self._over:
            return rest
        closing = self._watch.closing()
        if closing is None:
            when = "before the first event" if self.is_silent else "too early"
            return rest + self._fail(UpstreamFailed(f"The provider ended its stream {when}."))
        self._over = True
        return rest + (closing or b"")

    def _fill_silence(self) -> bytes:
        if self._watch.finished:
            self._over = True
            return b""
        return KEEP_ALIVE if self._deadline.remaining() else self._fail(timeout_error())

    def _fail(self, error: RelayError) -> bytes:
        self._over = True
        if (closing := self._watch.closing()) is not None:
            return closing  # the answer was whole; what came after it does not matter
        self._failure = error
        return self._watch.failure(error)

    def _finish(self, code: str | None) -> None:
        self._over = True
        self._reply.close()
        self._call.settle(self._watch.usage, self._watch.model)
        is_refused = self._watch.refusal is not None
        self._call.finish(HTTPStatus.OK, code, failure=self._failure, may_be_paid=not is_refused)
        self._tell_who_waits_for_it()

    def _tell_who_waits_for_it(self) -> None:
        heard, self.heard = self.heard, None
        if not heard:
            return
        if self._watch.refusal:
            heard(refusal_in(self._watch.refusal))
        elif not self.is_silent:
            heard(None)
        elif self._failure:
            heard(self._failure)


def refusal_in(error: dict[str, Any]) -> ProviderRefused:
    """Return the refusal that a provider sent with status 200."""
    return provider_refusal(_status_of(error), error, {})


def _status_of(error: dict[str, Any]) -> int:
    for name in ("status", "status_code", "code"):
        status = error.get(name)
        if type(status) is int and HTTPStatus.BAD_REQUEST <= status < 600:  # noqa: PLR2004
            return status
    words = f"{error.get('type')} {error.get('code')}"
    if "rate_limit" in words:
        return HTTPStatus.TOO_MANY_REQUESTS
    return HTTPStatus.BAD_REQUEST if "invalid_request" in words else HTTPStatus.BAD_GATEWAY
