"""What a stream shows as it passes: usage, model, failure, end."""

from __future__ import annotations

import re
from typing import Any

from llm_relay.documents import parse_object
from llm_relay.errors import RelayError, UpstreamBroke
from llm_relay.sse import is_whole, payloads
from llm_relay.usage import Usage, usage_of

# Text inside JSON strings has its quotes escaped, so these match keys alone.
_USAGE = re.compile(rb'"usage"\s*:\s*\{')
_ERROR = re.compile(rb'"error"\s*:\s*\{|"type"\s*:\s*"error"')


class StreamWatch:
    """Looks at each event of one stream and changes none; the surfaces know the details."""

    def __init__(self) -> None:
        self.usage = Usage()
        self.model: str | None = None
        self.events = 0
        self.finished = False
        self.error: dict[str, Any] | None = None  # the provider's own, told as an event

    def see(self, frames: bytes) -> None:
        """Look at whole frames; UpstreamBroke if an event is none."""
        for payload in payloads(frames):
            if not is_whole(payload):
                raise UpstreamBroke("The provider sent an event that is not JSON.")
            self.events += 1
            self.see_event(payload)

    def see_event(self, payload: bytes) -> None:
        """Look at the data of one event."""
        raise NotImplementedError

    def closing(self) -> bytes | None:
        """Return what a clean end still lacks, or None if the stream has not come to its end."""
        return b"" if self.finished else None

    def failure(self, error: RelayError) -> bytes:
        """Return the event that tells the caller of a failure after the first byte."""
        raise NotImplementedError

    def note_usage(self, payload: bytes) -> None:
        """Keep the usage if this event carries it."""
        if _USAGE.search(payload) and (document := parse_object(payload)):
            self.usage = usage_of(document)

    def note_error(self, payload: bytes) -> None:
        """Keep in mind that the provider told of a failure by itself."""
        if _ERROR.search(payload) and (error := error_event(payload)):
            self.error = error
            self.finished = True


def error_event(payload: bytes) -> dict[str, Any] | None:
    """Return the error object of an event that is one."""
    document = parse_object(payload) or {}
    if document.get("type") == "error":
        nested = document.get("error")
        return nested if isinstance(nested, dict) else document
    error = document.get("error")
    return error if isinstance(error, dict) and "choices" not in document else None
