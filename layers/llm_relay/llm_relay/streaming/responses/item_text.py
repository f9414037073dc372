"""Texts that arrive in pieces: message text, refusals, reasoning and function arguments."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from llm_relay.core.defaults import Document, text_in, with_defaults


@dataclass(frozen=True, slots=True)
class TextKind:
    """How one kind of text is represented in items and named in events."""

    part_type: str
    item_type: str
    event_prefix: str = ""  # before .delta and .done; empty for unknown kinds
    field: str = "text"  # of the part and of the .done event
    index_field: str = "content_index"  # the part's position in its item; empty without parts


OUTPUT_TEXT = TextKind("output_text", "message", "response.output_text")
REFUSAL = TextKind("refusal", "message", "response.refusal", field="refusal")
REASONING = TextKind("reasoning_text", "reasoning", "response.reasoning_text")
SUMMARY = TextKind(
    "summary_text", "reasoning", "response.reasoning_summary_text", index_field="summary_index"
)
_CALL_ARGUMENTS = "response.function_call_arguments"
ARGUMENTS = TextKind("arguments", "function_call", _CALL_ARGUMENTS, "arguments", index_field="")
TEXT_KINDS = (OUTPUT_TEXT, REFUSAL, REASONING, SUMMARY, ARGUMENTS)
TEXT_ITEM_TYPES = {kind.item_type for kind in TEXT_KINDS}
_BY_PART_TYPE = {kind.part_type: kind for kind in TEXT_KINDS if kind.index_field}


def kind_of_part(part: Document, item_type: str) -> TextKind:
    """Return the kind of text in a part, by its type or by the type of its item."""
    default = "reasoning_text" if item_type == "reasoning" else "output_text"
    name = text_in(part, "type") or ("refusal" if "refusal" in part else default)
    kind = _BY_PART_TYPE.get(name) or TextKind(name, item_type)
    # Some providers send the text of their reasoning as output_text.
    return REASONING if item_type == "reasoning" != kind.item_type else kind


@dataclass(slots=True, kw_only=True, eq=False)
class ItemText:
    """One text of an item: its pieces so far, and which of its events were sent."""

    kind: TextKind
    index: int  # among its item's parts
    provider_index: int | None = None
    fields: Document = field(default_factory=dict)  # the part as the provider sent it
    pieces: list[str] = field(default_factory=list)
    final: str | None = None  # the text as the provider repeats it at the end
    is_ended: bool = False  # the provider ended it; its .done may not have been sent
    part_added_sent: bool = False
    delta_sent: bool = False
    done_sent: bool = False
    part_done_sent: bool = False

    @property
    def value(self) -> str:
        """The text so far."""
        return "".join(self.pieces) if self.final is None else self.final

    def append(self, piece: str) -> None:
        """Add a piece; a final text that came before it no longer counts."""
        if piece:
            self.pieces.append(piece)
            self.final = None

    def set_final(self, value: Any) -> None:
        """Take the final text; an empty one does not replace pieces."""
        value = json.dumps(value) if isinstance(value, dict) else value
        if isinstance(value, str) and (value or not self.value):
            self.final = value

    def matches(self, event: Document, index: int | None = None) -> bool:
        """Tell whether an event is about this text, by its index or else by its content."""
        if index is not None:
            return index == (self.index if self.provider_index is None else self.provider_index)
        repeats = "delta" not in event and event.get(self.kind.field) in (None, self.value)
        return repeats or not self.is_ended

    def part(self, value: str) -> Document:
        """Return the part that holds the text; one of an unknown kind stays as it came."""
        if not self.kind.event_prefix:
            return self.fields
        lists: Document = {"annotations": []} if self.kind is OUTPUT_TEXT else {}
        own = {"type": self.kind.part_type, self.kind.field: value}
        return with_defaults(lists, self.fields) | own
