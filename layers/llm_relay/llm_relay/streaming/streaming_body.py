"""The body of a streamed answer, from the provider to the caller."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING

from llm_relay.core.error_log import log_internal_error
from llm_relay.core.errors import InternalError, RelayError, UpstreamFailed
from llm_relay.providers.provider_error import error_in_success
from llm_relay.streaming.sse import KEEP_ALIVE, FrameBuffer, without_harmful_lines
from llm_relay.transport.http_transport import HttpReply, timeout_error

if TYPE_CHECKING:
    from llm_relay.core.deadline import Deadline
    from llm_relay.observability.call_record import CallRecord
    from llm_relay.streaming.normalizer import StreamNormalizer

# How long to wait for the end of the body after the last event, to reuse the connection.
_LINGER_SECONDS = 0.5


class StreamingBody:
    """Yields frames, comments during silence, and an event for a failure.

    Not a generator: closing one that never started would not close the provider's reply.
    """

    def __init__(
        self,
        reply: HttpReply,
        normalizer: StreamNormalizer,
        call: CallRecord,
        deadline: Deadline,
        keep_alive_seconds: float,
    ) -> None:
        self._reply = reply
        self._normalizer = normalizer
        normalizer.provider_key = call.tracker.key
        self._call = call
        self._deadline = deadline
        self._keep_alive_seconds = keep_alive_seconds
        self._frames = FrameBuffer()
        self._first_frames = b""
        self._is_over = False
        self._linger_deadline: Deadline | None = None
        self._failure: RelayError | None = None
        # Called once at the end, with the failure if there was one before the first event.
        self.on_outcome: Callable[[RelayError | None], None] | None = None

    @property
    def is_silent(self) -> bool:
        """Tell whether no event has arrived."""
        return not self._normalizer.event_count

    def open(self) -> None:
        """Wait for the first event, or until the first keep-alive comment is due.

        Raises a RelayError for a failure up to the first event: the status is still to be sent.
        """
        due = self._deadline.within(self._keep_alive_seconds)
        while self.is_silent and not self._is_over and due.remaining():
            with suppress(TimeoutError):
                self._first_frames += self._read(due.remaining())
        if failure := self._early_failure():
            raise failure
        if not self._deadline.remaining():
            raise timeout_error()
        self._first_frames = self._first_frames or KEEP_ALIVE
        self._call.mark_first_byte()

    def __iter__(self) -> Iterator[bytes]:
        """Return the iterator itself."""
        return self

    def __next__(self) -> bytes:
        """Return the next whole frames."""
        frames, self._first_frames = self._first_frames, b""
        due = self._deadline.within(self._keep_alive_seconds)
        while not frames and not self._is_over:
            frames = self._next_frames(due)
        if frames:
            return frames
        self._finish(self._failure.code if self._failure else self._normalizer.failure_code)
        raise StopIteration

    def close(self) -> None:
        """Close the provider's reply; an unfinished stream counts as left by its caller."""
        self._finish("caller_left")

    def _next_frames(self, due: Deadline) -> bytes:
        if self._normalizer.is_finished:
            due = self._linger_deadline or self._deadline.within(_LINGER_SECONDS)
            self._linger_deadline = due
        try:
            if seconds := due.remaining():
                return self._read(seconds)
        except TimeoutError:
            pass
        except RelayError as error:
            return self._end(error)
        except Exception as error:  # noqa: BLE001 - the caller gets an error event
            log_internal_error(error, self._call.request_id)
            return self._end(InternalError("The relay itself failed. Its log has the request id."))
        if self._deadline.remaining() and not self._normalizer.is_finished:
            return KEEP_ALIVE
        return self._end(timeout_error())

    def _read(self, seconds: float) -> bytes:
        chunk = self._call.tracker.timed(lambda: self._reply.read(seconds))
        if chunk:
            return self._normalize(self._frames.feed(chunk))
        rest = self._normalize(self._frames.flush())
        if self._is_over:
            return rest
        when = "before the first event" if self.is_silent else "too early"
        return rest + self._end(UpstreamFailed(f"The provider ended its stream {when}."))

    def _normalize(self, frames: bytes) -> bytes:
        normalized = self._normalizer.normalize(without_harmful_lines(frames))
        invalid, self._normalizer.invalid_event = self._normalizer.invalid_event, None
        if not invalid:
            return normalized
        if not self._normalizer.event_count:
            raise invalid
        return normalized + self._end(invalid)

    def _end(self, error: RelayError) -> bytes:
        """End the stream; with the error, unless the answer is complete."""
        self._is_over = True
        if (closing := self._normalizer.closing_frames()) is not None:
            return closing
        self._failure = error
        return self._normalizer.failure_frames(error)

    def _finish(self, code: str | None) -> None:
        self._is_over = True
        self._reply.close()
        self._call.record_usage(self._normalizer.usage, self._normalizer.model)
        may_be_billed = self._normalizer.first_event_error is None
        self._call.finish(HTTPStatus.OK, code, failure=self._failure, possibly_billed=may_be_billed)
        report, self.on_outcome = self.on_outcome, None
        failure = self._early_failure()
        if report and (failure or not self.is_silent):
            report(failure)

    def _early_failure(self) -> RelayError | None:
        """Return the failure before the first event, or in it."""
        if self._normalizer.first_event_error:
            return error_in_success(self._normalizer.first_event_error)
        return self._failure if self.is_silent else None
