"""Normalizes one stream's events and collects its usage, model and failure."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from llm_relay.core.errors import RelayError, UpstreamFailed
from llm_relay.core.json_codec import parse_object
from llm_relay.core.usage import Usage
from llm_relay.providers.provider_error import redact
from llm_relay.streaming.sse import encode_event, payload_of, split_frames

_NOT_JSON = "The provider sent an event that is not JSON."
_ERROR_EVENT_NAME = re.compile(rb"event: ?error[\r\n]")  # cannot match a line of JSON


class StreamNormalizer:
    """Passes frames on byte for byte, unless an endpoint's subclass has to change an event."""

    has_flat_errors: ClassVar[bool] = False  # clients accept {"type": "error"} without "error"

    def __init__(self) -> None:
        self.usage = Usage()
        self.model: str | None = None
        self.event_count = 0
        self.is_finished = False
        self.failure_code: str | None = None  # set if the provider itself reported a failure
        self.first_event_error: dict[str, Any] | None = None
        self.invalid_event: RelayError | None = None
        self.provider_key = ""  # is redacted in errors

    def normalize(self, frames: bytes) -> bytes:
        """Return the frames to send; an invalid one ends them and sets `invalid_event`."""
        normalized = []
        try:
            for frame in split_frames(frames):
                normalized.append(self._normalize_frame(frame))  # noqa: PERF401 - keep on error
        except UpstreamFailed as error:
            self.invalid_event = error
        return b"".join(normalized)

    def _normalize_frame(self, frame: bytes) -> bytes:
        payload = payload_of(frame)
        if frame.find(b"\0") >= 0:
            raise UpstreamFailed(_NOT_JSON)
        if not payload:
            return frame
        if payload.startswith(b"[DONE]"):
            self.event_count += 1
            return self.normalize_done(frame)
        if self.is_finished:
            return b""  # nothing may follow the end
        document = parse_object(payload)
        if document is None:
            raise UpstreamFailed(_NOT_JSON)
        self.event_count += 1
        if error_in_event(frame, document) is None:
            return self.normalize_event(frame, document)
        return self._normalize_error(frame, document)

    def normalize_done(self, frame: bytes) -> bytes:
        """Return what replaces the frame of a [DONE]."""
        raise NotImplementedError

    def normalize_event(self, frame: bytes, document: dict[str, Any]) -> bytes:
        """Return the frame itself if its event is complete, or the frames that replace it."""
        raise NotImplementedError

    def _normalize_error(self, frame: bytes, document: dict[str, Any]) -> bytes:
        shown = redact(document, self.provider_key)
        error = error_in_event(frame, shown)
        self.failure_code = "provider_error"
        self.is_finished = True
        self.first_event_error = error if self.event_count == 1 else None
        is_flat = self.has_flat_errors and shown.get("type") == "error"
        if not (is_flat or shown.get("error")):
            return encode_event({"error": error})
        return frame if shown == document else encode_event(shown, "error" if is_flat else None)

    def closing_frames(self) -> bytes | None:
        """Return what a clean end still needs; None if the stream broke off."""
        return b"" if self.is_finished else None

    def failure_frames(self, error: RelayError) -> bytes:
        """Return what reports a failure after the first byte."""
        raise NotImplementedError


def error_in_event(frame: bytes, document: dict[str, Any]) -> dict[str, Any] | None:
    """Return the error object of an error event, which only its SSE name may identify."""
    error = document.get("error")
    error = {"message": error} if isinstance(error, str) and error else error
    found = error if error and isinstance(error, dict) else None
    has_name = frame.find(b"event:") >= 0 and _ERROR_EVENT_NAME.search(frame)
    if has_name or document.get("type") == "error":
        return found or document
    return None if "choices" in document else found
