"""The output of a response while it streams: which items there are and what they hold so far."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from llm_relay.core.defaults import objects_in, text_in, with_defaults
from llm_relay.streaming.responses.shape import parts_of

Document = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class TextKind:
    """A kind of text that comes in pieces: where it stands, and what its events are called."""

    name: str  # the type of its part
    item: str  # the kind of item that holds it
    events: str = ""  # what stands before .delta and .done; a kind of tomorrow has none
    field: str = "text"  # of its part and its .done event
    index: str = "content_index"  # the events' name for its place in the item; a call has none
    has_parts: bool = True  # so that a part is added before it, and done after it
    lists: tuple[str, ...] = ()  # that its .delta and .done events require


OUTPUT_TEXT = TextKind(
    name="output_text", item="message", events="response.output_text", lists=("logprobs",)
)
REFUSAL = TextKind(name="refusal", item="message", events="response.refusal", field="refusal")
REASONING = TextKind(name="reasoning_text", item="reasoning", events="response.reasoning_text")
SUMMARY = TextKind(
    name="summary_text",
    item="reasoning",
    events="response.reasoning_summary_text",
    index="summary_index",
)
ARGUMENTS = TextKind(
    name="arguments",
    item="function_call",
    events="response.function_call_arguments",
    field="arguments",
    index="",
    has_parts=False,
)
TEXT_KINDS = (OUTPUT_TEXT, REFUSAL, REASONING, SUMMARY, ARGUMENTS)
HOLDERS = {kind.item for kind in TEXT_KINDS}  # kinds of items
_BY_PART = {kind.name: kind for kind in TEXT_KINDS if kind.has_parts}


def kind_of_part(part: Document, item: str) -> TextKind:
    """Return the kind of text that a part holds, by its type or by the item that it is in."""
    usual = "reasoning_text" if item == "reasoning" else "output_text"
    name = text_in(part, "type") or ("refusal" if "refusal" in part else usual)
    kind = _BY_PART.get(name) or TextKind(name=name, item=item)
    # Some providers call the text of their reasoning by the name of an answer's.
    return REASONING if item == "reasoning" != kind.item else kind


@dataclass(slots=True, kw_only=True, eq=False)
class Text:
    """One text of an item: what has come of it, and which of its events have gone out."""

    kind: TextKind
    index: int  # among its item's parts
    given_index: int | None = None  # where the provider says that it is
    fields: Document = field(default_factory=dict)  # the part as the provider tells it
    pieces: list[str] = field(default_factory=list)
    unread: list[bytes] = field(default_factory=list)  # further pieces, as they stand in JSON
    whole: str | None = None  # as the provider tells it at the end
    is_announced: bool = False
    is_told: bool = False  # some of it has gone out
    is_ended: bool = False  # the provider told its end, which may not have gone out
    is_over: bool = False
    is_done: bool = False

    @property
    def value(self) -> str:
        """The text so far."""
        return "".join(self._read()) if self.whole is None else self.whole

    def add(self, piece: str) -> None:
        """Take a piece; a whole that was told before it did not hold."""
        if piece:
            self._read().append(piece)
            self.whole = None

    def settle(self, whole: Any) -> None:
        """Take the whole text, unless it is said to be empty and pieces say otherwise."""
        whole = json.dumps(whole) if isinstance(whole, dict) else whole
        if isinstance(whole, str) and (whole or not self.value):
            self.whole = whole

    def is_meant(self, fields: Document, index: int | None = None) -> bool:
        """Tell whether an event is about this text, by its place or else by what it says."""
        if index is not None:
            return index == (self.index if self.given_index is None else self.given_index)
        repeats = "delta" not in fields and fields.get(self.kind.field) in (None, self.value)
        return repeats or not self.is_ended

    def part(self, value: str) -> Document:
        """Return the part that holds the text; kinds of tomorrow stay as they came."""
        if not self.kind.events:
            return self.fields
        lists: Document = {"annotations": []} if self.kind is OUTPUT_TEXT else {}
        own = {"type": self.kind.name, self.kind.field: value}
        return with_defaults(lists, self.fields) | own

    def _read(self) -> list[str]:
        if self.unread:
            literal, self.unread = b'"%b"' % b"".join(self.unread), []
            self.pieces.append(json.loads(literal.decode(errors="replace")))
        return self.pieces


@dataclass(slots=True, kw_only=True, eq=False)
class Item:
    """One output item, from its first event to its end."""

    id: str
    kind: str  # "message", "function_call", "reasoning", or another, which passes as it is
    given_id: str = ""
    given_index: int | None = None
    index: int | None = None  # in the response's output, once the caller knows of it
    name: str = ""  # of a function
    call_id: str = ""
    fields: Document = field(default_factory=dict)  # as the provider last told it
    texts: list[Text] = field(default_factory=list)
    is_given: bool = False  # the provider announced it
    is_done: bool = False

    @property
    def is_tellable(self) -> bool:
        """Whether enough is known to announce it: what a call is named by may not change."""
        is_named = bool(self.name and self.call_id)
        return is_named or self.index is not None or self.kind != "function_call"

    def place(self) -> Document:
        """Return the fields by which events name the item."""
        return {"item_id": self.id, "output_index": self.index}

    def identity(self) -> Document:
        """Return the fields that may not change any more."""
        return {"id": self.id} | ({"call_id": self.call_id} if self.kind == "function_call" else {})

    def is_at(self, index: Any) -> bool:
        """Tell whether the provider can mean this item by an index."""
        own = self.index if self.given_index is None else self.given_index
        return own is None or type(index) is not int or own == index

    def fits(self, fields: Document) -> bool:
        """Tell whether an event that does not name its item can be about this one."""
        if self.kind != "function_call":
            return not self.is_done
        for own, name in ((self.name, "name"), (self.call_id, "call_id")):
            if own and text_in(fields, name) not in ("", own):
                return False
        return not self.is_done and self.text(ARGUMENTS, {}).is_meant(fields)

    def names(self, fields: Document) -> None:
        """Take the names of a call; its id stays what the caller knows it by."""
        self.name = text_in(fields, "name") or self.name
        if self.index is None:
            self.call_id = text_in(fields, "call_id") or self.call_id

    def take_over(self, given: Document) -> None:
        """Take what the provider says of the item as a whole."""
        self.fields = given or self.fields
        self.names(given)
        if self.kind == "function_call":
            self.text(ARGUMENTS, given).settle(given.get("arguments"))
        elif self.kind in HOLDERS:
            self._take_parts("content", parts_of(given.get("content")))
            self._take_parts("summary", objects_in(given, "summary"))

    def _take_parts(self, name: str, parts: list[Document]) -> None:
        for position, part in enumerate(parts):
            kind = SUMMARY if name == "summary" else kind_of_part(part, self.kind)
            same = (text for text in self.texts if (text.kind, text.index) == (kind, position))
            text = next(same, None) or self.text(kind, {kind.index: position})
            text.fields = part
            text.settle(part.get(kind.field))

    def text(self, kind: TextKind, fields: Document) -> Text:
        """Return the text that an event is about, a new one if it fits none."""
        index = fields.get(kind.index) if kind.index else 0
        given = index if type(index) is int else None
        for text in reversed(self.texts):
            if text.kind == kind and text.is_meant(fields, given):
                return text
        place = sum(text.kind.index == kind.index for text in self.texts)
        self.texts.append(Text(kind=kind, index=place, given_index=given))
        return self.texts[-1]

    def announcement(self) -> Document:
        """Return the item as it begins: with nothing in it, which its events then bring."""
        document = self.document(text_in(self.fields, "status") or "in_progress")
        empty = {"arguments": "", "summary": [], "content": []} if self.kind in HOLDERS else {}
        return document | {name: value for name, value in empty.items() if document.get(name)}

    def document(self, status: str) -> Document:
        """Return the item as it is now, with every field that OpenAI's types require."""
        own: Document = {"id": self.id, "type": self.kind}
        if self.kind == "message":
            own |= {"role": text_in(self.fields, "role") or "assistant"}
        elif self.kind == "function_call":
            arguments = self.text(ARGUMENTS, {}).value
            own |= {"call_id": self.call_id, "name": self.name, "arguments": arguments}
        elif self.kind == "reasoning":
            own |= {"summary": self._parts("summary_index")}
        if self.kind == "message" or (self.kind == "reasoning" and self._has_content()):
            own |= {"content": self._parts("content_index")}
        if self.kind == "message" or self.kind.endswith("_call") or self.fields.get("status"):
            own["status"] = (self.is_done and text_in(self.fields, "status")) or status
        return self.fields | own

    def _has_content(self) -> bool:
        return self.fields.get("content") is not None or bool(self._parts("content_index"))

    def _parts(self, index: str) -> list[Document]:
        return [text.part(text.value) for text in self.texts if text.kind.index == index]
