"""A stream as it passes: what it shows of usage, model and failure, and what it still lacks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar

from llm_relay.documents import parse_object
from llm_relay.errors import UpstreamBroke
from llm_relay.sse import event, looks_complete, split
from llm_relay.usage import Usage

if TYPE_CHECKING:
    from llm_relay.errors import RelayError

# What differs from one delta to the next, down to the letter of JSON: a text and a number.
_STRING = rb'[^"\\\x00-\x1f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*)*'
_VARYING = re.compile(
    rb'"(?:content|delta|reasoning|reasoning_content|obfuscation)"\s*:\s*"' + _STRING + rb'"'
    rb'|"sequence_number"\s*:\s*\d+'
)
MOST_SHAPES = 16  # more to remember means that no two events are alike
_NAMED_ERROR = re.compile(rb"event: ?error[\r\n]")  # no line of JSON ends so


class StreamWatch:
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

    def pass_on(self, frames: bytes) -> bytes:
        """Return whole frames as they should be; a broken one ends them, and `broken` tells why."""
        passed = []
        for frame, payload in split(frames):
            try:
                passed.append(self._pass_frame(frame, payload))
            except UpstreamBroke as error:
                self.broken = error
                break
        return b"".join(passed)

    def _pass_frame(self, frame: bytes, payload: bytes | None) -> bytes:
        if payload is None:
            return frame
        if not looks_complete(payload):
            raise UpstreamBroke("The provider sent an event that is not JSON.")
        self.events += 1
        return self.pass_event(frame, payload)

    def pass_event(self, frame: bytes, payload: bytes) -> bytes:
        """Return the frame, or what has to stand in its place."""
        raise NotImplementedError

    def pass_document(self, frame: bytes, document: dict[str, Any]) -> bytes:
        """Return the frame of an event that had to be parsed, or what has to stand in its place."""
        raise NotImplementedError

    def read(self, frame: bytes, payload: bytes) -> bytes:
        """Parse an event and pass it on; the provider's word of a failure ends the stream."""
        document = parse_object(payload)
        if document is None:
            raise UpstreamBroke("The provider sent an event that is not JSON.")
        error = error_event(frame, document)
        if error is None:
            return self.pass_document(frame, document)
        self.failure_code = "provider_error"
        self.finished = True
        self.refusal = error if self.events == 1 else None
        is_known = self.has_flat_errors and document.get("type") == "error"
        return frame if is_known or document.get("error") else event({"error": error})

    def closing(self) -> bytes | None:
        """Return what a clean end still lacks, or None if the stream has not come to its end."""
        return b"" if self.finished else None

    def failure(self, error: RelayError) -> bytes:
        """Return the event that tells the caller of a failure after the first byte."""
        raise NotImplementedError


def shape_of(payload: bytes) -> bytes:
    """Return an event without what differs from one delta to the next.

    Events of one shape are alike in every other letter, so what is true of one is true of all.
    """
    return _VARYING.sub(b"\0", payload)


def error_event(frame: bytes, document: dict[str, Any]) -> dict[str, Any] | None:
    """Return the error object of an event that is one, which its name alone may tell."""
    error = document.get("error")
    error = {"message": error} if isinstance(error, str) and error else error
    found = error if isinstance(error, dict) and error else None
    if document.get("type") == "error" or _NAMED_ERROR.search(frame):
        return found or document
    return None if "choices" in document else found
