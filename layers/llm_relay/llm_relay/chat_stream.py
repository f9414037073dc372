"""A chat stream on its way: chunks pass as they are unless they lack what clients rely on."""

from __future__ import annotations

import re
import time
import uuid
from typing import Any

from llm_relay.documents import parse_object
from llm_relay.errors import RelayError, UpstreamBroke
from llm_relay.sse import DONE, event
from llm_relay.usage import usage_of
from llm_relay.watch import StreamWatch, error_event

Document = dict[str, Any]

# Text inside JSON strings has its quotes escaped, so these match keys alone.
_CHUNK_FIELDS = (b'"id"', b'"object"', b'"created"', b'"model"', b'"choices"')
_CHOICE_FIELDS = (b'"index"', b'"delta"', b'"finish_reason"')
_TELLING = re.compile(
    rb'"usage"\s*:\s*\{|"tool_calls"\s*:\s*\[|"error"\s*:\s*\{|"type"\s*:\s*"error"'
)
_FINISH_REASON = re.compile(rb'"finish_reason"\s*:\s*"')


class ChatStream(StreamWatch):
    """Completes chunks, keeps the usage, and tells it apart only to a caller who asked for it."""

    def __init__(self, model: str, *, wants_usage: bool) -> None:
        super().__init__()
        self._wants_usage = wants_usage
        self._usage: Document | None = None
        self._usage_is_told = False
        self._finish_reason_seen = False
        self._shape: Document = {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": model,
        }

    def pass_event(self, frame: bytes, payload: bytes) -> bytes:
        """Return the chunk; only the first, short ones and those with more than text are parsed."""
        if payload.startswith(b"[DONE]"):
            self.finished = True
            return self._missing_usage() + frame
        self._finish_reason_seen |= bool(_FINISH_REASON.search(payload))
        if self.model and _is_plain(payload):
            return frame
        document = parse_object(payload)
        if document is None:
            raise UpstreamBroke("The provider sent an event that is not JSON.")
        if error := error_event(document):
            self.note_error(error)
            return frame
        return self._pass_chunk(frame, document)

    def closing(self) -> bytes | None:
        """Return [DONE] where a provider gave its finish reason and left it at that."""
        if self.finished:
            return b""
        return self._missing_usage() + DONE if self._finish_reason_seen else None

    def failure(self, error: RelayError) -> bytes:
        """Return the event at which both official SDKs raise; no [DONE] follows."""
        return event(error.body())

    def _pass_chunk(self, frame: bytes, document: Document) -> bytes:
        if self.model is None:
            known = {name: document.get(name) for name in self._shape}
            self._shape |= {name: value for name, value in known.items() if value is not None}
            self.model = str(self._shape["model"])
        given = document.get("choices")
        choices = given if isinstance(given, list) else []
        if isinstance(document.get("usage"), dict):
            self._usage, self.usage = document, usage_of(document)
            if not choices:
                self._usage_is_told = True
                return frame if self._wants_usage else b""
        whole = self._shape | document | {"choices": [_whole_choice(each) for each in choices]}
        return frame if whole == document else event(whole)

    def _missing_usage(self) -> bytes:
        """Return the chunk that tells the usage, if it came along with text."""
        if not self._wants_usage or self._usage_is_told or self._usage is None:
            return b""
        self._usage_is_told = True
        return event(self._shape | {"choices": [], "usage": self._usage["usage"]})


def _is_plain(payload: bytes) -> bool:
    fields = (*_CHUNK_FIELDS, *_CHOICE_FIELDS)
    return not _TELLING.search(payload) and all(name in payload for name in fields)


def _whole_choice(choice: Any) -> Any:
    if not isinstance(choice, dict):
        return choice
    whole = {"index": 0, "delta": {}, "finish_reason": None} | choice
    delta = whole["delta"]
    if isinstance(delta, dict) and isinstance(delta.get("tool_calls"), list):
        calls = [_whole_call(place, call) for place, call in enumerate(delta["tool_calls"])]
        whole["delta"] = delta | {"tool_calls": calls}
    return whole


def _whole_call(place: int, call: Any) -> Any:
    """Return a fragment of a tool call with the index by which clients put it together."""
    return {"index": place} | call if isinstance(call, dict) else call
