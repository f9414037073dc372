"""A stream as it passes: what it shows of usage, model and failure, and what it still lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llm_relay.errors import UpstreamBroke
from llm_relay.sse import looks_complete, split
from llm_relay.usage import Usage

if TYPE_CHECKING:
    from llm_relay.errors import RelayError


class StreamWatch:
    """Passes one stream's events on and keeps what they tell; the endpoints know the details."""

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

    def note_error(self, error: dict[str, Any]) -> None:
        """Keep in mind that the provider told of a failure, which ends the stream."""
        self.failure_code = "provider_error"
        self.finished = True
        if self.events == 1:
            self.refusal = error

    def closing(self) -> bytes | None:
        """Return what a clean end still lacks, or None if the stream has not come to its end."""
        return b"" if self.finished else None

    def failure(self, error: RelayError) -> bytes:
        """Return the event that tells the caller of a failure after the first byte."""
        raise NotImplementedError


def error_event(document: dict[str, Any]) -> dict[str, Any] | None:
    """Return the error object of an event that is one."""
    error = document.get("error")
    if document.get("type") == "error":
        return error if isinstance(error, dict) else document
    return error if isinstance(error, dict) and "choices" not in document else None
