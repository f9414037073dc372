"""A chat stream on its way: chunks pass as they are unless they lack what clients rely on."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING

from llm_relay.core.defaults import Document, object_in, objects_in, text_in, with_defaults
from llm_relay.core.usage import usage_of
from llm_relay.streaming.normalizer import MOST_SHAPES, StreamNormalizer
from llm_relay.streaming.sse import DONE, event

if TYPE_CHECKING:
    from llm_relay.core.errors import RelayError


class ChatNormalizer(StreamNormalizer):
    """Completes chunks, keeps the usage, and tells it apart only to a caller who asked for it."""

    def __init__(self, model: str, *, wants_usage: bool, choices: int = 1) -> None:
        super().__init__()
        self._wants_usage = wants_usage
        self._usage: Document | None = None
        self._usage_is_told = False
        self._choices = choices  # as many as were asked for
        self._begun: set[int] = set()
        self._ended: set[int] = set()  # those with a finish reason
        self._calls: dict[int, ToolCalls] = {}  # of each choice
        self._whole: set[bytes] = set()  # shapes of chunks that lack nothing
        self._shape: Document = {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": model,
        }

    def knows(self, shape: bytes) -> bool:
        """Tell whether chunks of a shape need no look any more."""
        return shape in self._whole

    def pass_known(self, _shape: bytes, run: list[bytes]) -> bytes:
        """Return chunks that lack nothing."""
        return b"".join(run)

    def pass_event(self, shape: bytes, frame: bytes, payload: bytes) -> bytes:
        """Return the chunk, or what has to stand in its place."""
        if payload.startswith(b"[DONE]"):
            self.finished = True
            return self._missing_usage() + frame
        usage, passed = self._usage, self.read(frame, payload)
        if passed is frame and self._usage is usage:  # each usage counts, if it was told before
            self._whole = {shape, *self._whole} if len(self._whole) < MOST_SHAPES else {shape}
        return passed

    def closing(self) -> bytes | None:
        """Return [DONE] where a provider gave its finish reasons and left it at that."""
        if self.finished:
            return b""
        is_whole = self._begun <= self._ended and len(self._ended) >= self._choices
        return self._missing_usage() + DONE if is_whole else None

    def failure(self, error: RelayError) -> bytes:
        """Return the event at which both official SDKs raise; no [DONE] follows."""
        return event(error.body())

    def pass_document(self, frame: bytes, document: Document) -> bytes:
        """Return the chunk with every field that OpenAI's types require."""
        if self.model is None:
            known = {name: document.get(name) for name in self._shape}
            self._shape = with_defaults(self._shape, known)
            self.model = str(self._shape["model"])
        choices = objects_in(document, "choices")
        if isinstance(document.get("usage"), dict):
            self._usage, self.usage = document, usage_of(document)
            self._usage_is_told |= not choices
            if not choices and not self._wants_usage:
                return b""
        whole = with_defaults(self._shape, document)
        whole["choices"] = [self._whole_choice(choice) for choice in choices]
        return frame if whole == document else event(whole)

    def _missing_usage(self) -> bytes:
        """Return the chunk that tells the usage, if it came along with text."""
        if not self._wants_usage or self._usage_is_told or self._usage is None:
            return b""
        self._usage_is_told = True
        return event(self._shape | {"choices": [], "usage": self._usage["usage"]})

    def _whole_choice(self, choice: Document) -> Document:
        whole = with_defaults({"index": 0, "finish_reason": None}, choice)
        index = whole["index"] = whole["index"] if type(whole["index"]) is int else 0
        self._begun.add(index)
        if text_in(whole, "finish_reason"):
            self._ended.add(index)
        delta = object_in(choice, "delta")
        if delta.get("tool_calls"):
            calls = self._calls.setdefault(index, ToolCalls())
            delta = delta | {"tool_calls": calls.placed(delta)}
        return whole | {"delta": delta}


class ToolCalls:
    """The tool calls of one choice; clients put their fragments together by an index."""

    def __init__(self) -> None:
        self._indices: dict[str, int] = {}  # by the call's id
        self._last = -1
        self._next = 0

    def placed(self, delta: Document) -> list[Document]:
        """Return the fragments in a delta, each with the index of its call."""
        given = delta.get("tool_calls")
        fragments = objects_in({"all": [given] if isinstance(given, dict) else given}, "all")
        return [fragment | {"index": self._index(fragment)} for fragment in fragments]

    def _index(self, fragment: Document) -> int:
        index, call_id = fragment.get("index"), text_in(fragment, "id")
        if type(index) is not int:
            begins = call_id or text_in(object_in(fragment, "function"), "name")
            other = self._next if begins or self._last < 0 else self._last
            index = self._indices.get(call_id, other)
        if call_id:
            self._indices[call_id] = index
        self._last, self._next = index, max(self._next, index + 1)
        return index
