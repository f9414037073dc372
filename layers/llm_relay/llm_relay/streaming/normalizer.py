"""A stream as it passes: what it shows of usage, model and failure, and what it still lacks."""

from __future__ import annotations

import re
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, ClassVar

from llm_relay.core.errors import UpstreamFailed
from llm_relay.core.json_codec import parse_object
from llm_relay.core.usage import Usage
from llm_relay.providers.redaction import redacted
from llm_relay.streaming.sse import FrameBuffer, event, looks_complete, payload_of, split

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llm_relay.core.errors import RelayError

# A text down to the letter of JSON: no line ends in it, and nothing that would end it early.
TEXT = rb'[^"\\\x00-\x1f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*)*'
# What differs from one delta to the next, a text or a number, behind its name.
VARYING = re.compile(
    rb'("(?:content|delta|reasoning(?:_content)?|obfuscation)": ?(?=")|"sequence_number": ?(?=\d))'
    rb'(?:"' + TEXT + rb'"|\d+)'
)
MOST_SHAPES = 16  # more to remember means that no two events are alike
_NAMED_ERROR = re.compile(rb"event: ?error[\r\n]")  # no line of JSON ends so


class StreamNormalizer:
    """Passes one stream's events on and keeps what they tell; the endpoints know the details."""

    has_flat_errors: ClassVar[bool] = False  # clients know an error event without an inner object

    def __init__(self) -> None:
        self.usage = Usage()
        self.model: str | None = None
        self.events = 0
        self.finished = False
        self.failure_code: str | None = None  # if the provider itself told of a failure
        self.refusal: dict[str, Any] | None = None  # its error, if that was its first event
        self.broken: RelayError | None = None
        self.key = ""  # the provider's, which the caller may not see in an error

    def pass_on(self, frames: bytes) -> bytes:
        """Return whole frames as they should be; a broken one ends them, and `broken` tells why."""
        passed = []
        try:
            for piece in self._passed(frames):
                passed.append(piece)  # noqa: PERF402 - what came before a broken one is kept
        except UpstreamFailed as error:
            self.broken = error
        return b"".join(passed)

    def _passed(self, frames: bytes) -> Iterator[bytes]:
        for shape, run in runs(frames):
            for at, frame in enumerate(run):
                if self.knows(shape) and not self.finished:
                    yield self.pass_known(shape, run[at:])
                    break
                yield self._pass_frame(shape, frame)

    def _pass_frame(self, shape: bytes, frame: bytes) -> bytes:
        payload = payload_of(frame)
        if not payload:
            return frame
        if self.finished and not payload.startswith(b"[DONE]"):
            return b""  # the end was told, and nothing that follows can take it back
        if not looks_complete(payload):
            raise UpstreamFailed("The provider sent an event that is not JSON.")
        self.events += 1
        return self.pass_event(shape, frame, payload)

    def knows(self, shape: bytes) -> bool:
        """Tell whether frames of a shape need no look any more."""
        raise NotImplementedError

    def pass_known(self, shape: bytes, run: list[bytes]) -> bytes:
        """Return frames of a known shape as they should be, all in one go."""
        raise NotImplementedError

    def pass_event(self, shape: bytes, frame: bytes, payload: bytes) -> bytes:
        """Return the frame, or what has to stand in its place."""
        raise NotImplementedError

    def pass_document(self, frame: bytes, document: dict[str, Any]) -> bytes:
        """Return the frame of an event that had to be parsed, or what has to stand in its place."""
        raise NotImplementedError

    def read(self, frame: bytes, payload: bytes) -> bytes:
        """Parse an event and pass it on; the provider's word of a failure ends the stream."""
        document = parse_object(payload)
        if document is None:
            raise UpstreamFailed("The provider sent an event that is not JSON.")
        if error_event(frame, document) is None:
            return self.pass_document(frame, document)
        return self._pass_error(frame, document)

    def _pass_error(self, frame: bytes, document: dict[str, Any]) -> bytes:
        shown = redacted(document, self.key)
        error = error_event(frame, shown)
        self.failure_code = "provider_error"
        self.finished = True
        self.refusal = error if self.events == 1 else None
        is_known = self.has_flat_errors and shown.get("type") == "error"
        if not (is_known or shown.get("error")):
            return event({"error": error})
        return frame if shown == document else event(shown, "error" if is_known else None)

    def closing(self) -> bytes | None:
        """Return what a clean end still lacks, or None if the stream has not come to its end."""
        return b"" if self.finished else None

    def failure(self, error: RelayError) -> bytes:
        """Return the event that tells the caller of a failure after the first byte."""
        raise NotImplementedError


def runs(frames: bytes) -> Iterator[tuple[bytes, list[bytes]]]:
    """Yield frames that follow each other and have one shape, and that shape before them.

    The shape of a frame is all of it but for what differs from one delta to the next, so what is
    true of one frame is true of all of its shape. Many at once take a tenth of the time.
    """
    before, nul, _ = frames.partition(b"\0")  # it stands for what differs
    if nul:
        frames = FrameBuffer().feed(before)
    shaped = zip(split(VARYING.sub(rb"\1\0", frames)), split(frames), strict=True)
    for shape, run in groupby(shaped, itemgetter(0)):
        yield shape, [frame for _, frame in run]
    if nul:
        raise UpstreamFailed("The provider sent an event that is not JSON.")


def error_event(frame: bytes, document: dict[str, Any]) -> dict[str, Any] | None:
    """Return the error object of an event that is one, which its name alone may tell."""
    error = document.get("error")
    error = {"message": error} if isinstance(error, str) and error else error
    found = error if isinstance(error, dict) and error else None
    if document.get("type") == "error" or _NAMED_ERROR.search(frame):
        return found or document
    return None if "choices" in document else found
