"""Normalizes chat streams: chunks get the fields that clients rely on."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING

from llm_relay.core.defaults import Document, object_in, objects_in, text_in, with_defaults
from llm_relay.core.usage import usage_of
from llm_relay.streaming.normalizer import StreamNormalizer
from llm_relay.streaming.sse import DONE, encode_event

if TYPE_CHECKING:
    from llm_relay.core.errors import RelayError

_CHOICE_DEFAULTS: Document = {"index": 0, "finish_reason": None}


class ChatNormalizer(StreamNormalizer):
    """Completes chunks; passes the usage chunk on only to a caller who asked for it."""

    def __init__(self, model: str, *, wants_usage: bool, choices: int = 1) -> None:
        super().__init__()
        self._wants_usage = wants_usage
        self._usage: Document | None = None
        self._usage_sent = False
        self._requested_choices = choices
        self._started: set[int] = set()
        self._ended: set[int] = set()  # choices with a finish reason
        self._tool_calls: dict[int, ToolCallIndexer] = {}  # by choice
        self._defaults: Document = {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": model,
        }

    def normalize_done(self, frame: bytes) -> bytes:
        """Return [DONE], after the usage if that is still due."""
        self.is_finished = True
        return self._missing_usage() + frame

    def normalize_event(self, frame: bytes, document: Document) -> bytes:
        """Return the chunk with every field that OpenAI's types require."""
        if self.model is None:
            first = {name: document.get(name) for name in self._defaults}
            self._defaults = with_defaults(self._defaults, first)
            self.model = str(self._defaults["model"])
        choices = objects_in(document, "choices")
        if isinstance(document.get("usage"), dict):
            self._usage, self.usage = document["usage"], usage_of(document)
            self._usage_sent |= not choices
            if not choices and not self._wants_usage:
                return b""
        chunk = with_defaults(self._defaults, document)
        completed = [self._complete_choice(choice) for choice in choices]
        if chunk is document and completed == document.get("choices"):
            return frame
        return encode_event(chunk | {"choices": completed})

    def closing_frames(self) -> bytes | None:
        """Return [DONE] if every choice has its finish reason and the provider sent none."""
        if self.is_finished:
            return b""
        is_complete = self._started <= self._ended and len(self._ended) >= self._requested_choices
        return self._missing_usage() + DONE if is_complete else None

    def failure_frames(self, error: RelayError) -> bytes:
        """Return the event at which both official SDKs raise; no [DONE] follows."""
        return encode_event(error.body())

    def _missing_usage(self) -> bytes:
        if not self._wants_usage or self._usage_sent or self._usage is None:
            return b""
        self._usage_sent = True
        return encode_event(self._defaults | {"choices": [], "usage": self._usage})

    def _complete_choice(self, given: Document) -> Document:
        choice = with_defaults(_CHOICE_DEFAULTS, given)
        index = choice["index"]
        if type(index) is not int:
            index, choice = 0, choice | {"index": 0}
        self._started.add(index)
        if text_in(choice, "finish_reason"):
            self._ended.add(index)
        delta = object_in(given, "delta")
        if delta.get("tool_calls"):
            indexer = self._tool_calls.setdefault(index, ToolCallIndexer())
            delta = delta | {"tool_calls": indexer.indexed(delta["tool_calls"])}
        return choice if delta is choice.get("delta") else choice | {"delta": delta}


class ToolCallIndexer:
    """Gives the tool call fragments of one choice the index by which clients join them."""

    def __init__(self) -> None:
        self._by_id: dict[str, int] = {}
        self._last = -1
        self._next = 0

    def indexed(self, tool_calls: object) -> list[Document]:
        """Return the fragments of a delta, each with the index of its call."""
        given = [tool_calls] if isinstance(tool_calls, dict) else tool_calls
        fragments = objects_in({"tool_calls": given}, "tool_calls")
        return [fragment | {"index": self._index(fragment)} for fragment in fragments]

    def _index(self, fragment: Document) -> int:
        index, call_id = fragment.get("index"), text_in(fragment, "id")
        if type(index) is not int:
            is_new = call_id or text_in(object_in(fragment, "function"), "name") or self._last < 0
            index = self._by_id.get(call_id, self._next if is_new else self._last)
        if call_id:
            self._by_id[call_id] = index
        self._last, self._next = index, max(self._next, index + 1)
        return index
