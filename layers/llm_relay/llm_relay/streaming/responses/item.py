"""One output item of a streamed response and its texts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from llm_relay.core.defaults import Document, objects_in, text_in
from llm_relay.streaming.responses.item_text import (
    ARGUMENTS,
    SUMMARY,
    TEXT_ITEM_TYPES,
    ItemText,
    TextKind,
    kind_of_part,
)
from llm_relay.streaming.responses.required_fields import content_parts


@dataclass(slots=True, kw_only=True, eq=False)
class OutputItem:
    """One output item, from its first event to its end."""

    id: str
    type: str  # "message", "function_call", "reasoning", or another, which passes unchanged
    provider_id: str = ""
    provider_index: int | None = None
    index: int | None = None  # in the response's output, once announced to the caller
    name: str = ""  # of a function
    call_id: str = ""
    fields: Document = field(default_factory=dict)  # as the provider last sent it
    texts: list[ItemText] = field(default_factory=list)
    provider_added: bool = False  # the provider sent its output_item.added
    is_done: bool = False

    @property
    def can_be_announced(self) -> bool:
        """Whether the name and id of a call are known, which may not change once sent."""
        has_names = bool(self.name and self.call_id)
        return has_names or self.index is not None or self.type != "function_call"

    def reference(self) -> Document:
        """Return the fields by which events refer to the item."""
        return {"item_id": self.id, "output_index": self.index}

    def identity(self) -> Document:
        """Return the fields that may not change once sent."""
        return {"id": self.id} | ({"call_id": self.call_id} if self.type == "function_call" else {})

    def matches_index(self, index: Any) -> bool:
        """Tell whether the provider's output_index can refer to this item."""
        own = self.index if self.provider_index is None else self.provider_index
        return own is None or type(index) is not int or own == index

    def matches(self, event: Document) -> bool:
        """Tell whether an event without an item's id can be about this one."""
        if self.is_done or self.type != "function_call":
            return not self.is_done
        for own, name in ((self.name, "name"), (self.call_id, "call_id")):
            if own and text_in(event, name) not in ("", own):
                return False
        return self.text(ARGUMENTS, {}).matches(event)

    def update_names(self, fields: Document) -> None:
        """Take the name and id of a call; the id may not change once announced."""
        self.name = text_in(fields, "name") or self.name
        if self.index is None:
            self.call_id = text_in(fields, "call_id") or self.call_id

    def update(self, item: Document) -> None:
        """Take the item as the provider sends it."""
        self.fields = item or self.fields
        self.update_names(item)
        if self.type == "function_call":
            self.text(ARGUMENTS, item).set_final(item.get("arguments"))
        elif self.type in TEXT_ITEM_TYPES:
            for index, part in enumerate(content_parts(item.get("content"))):
                self._update_part(kind_of_part(part, self.type), index, part)
            for index, part in enumerate(objects_in(item, "summary")):
                self._update_part(SUMMARY, index, part)

    def _update_part(self, kind: TextKind, index: int, part: Document) -> None:
        same = (text for text in self.texts if (text.kind, text.index) == (kind, index))
        text = next(same, None) or self.text(kind, {kind.index_field: index})
        text.fields = part
        text.set_final(part.get(kind.field))

    def text(self, kind: TextKind, event: Document) -> ItemText:
        """Return the text that an event is about, a new one if it matches none."""
        index = event.get(kind.index_field) if kind.index_field else 0
        provider_index = index if type(index) is int else None
        for text in reversed(self.texts):
            if text.kind == kind and text.matches(event, provider_index):
                return text
        count = sum(text.kind.index_field == kind.index_field for text in self.texts)
        self.texts.append(ItemText(kind=kind, index=count, provider_index=provider_index))
        return self.texts[-1]

    def announcement(self) -> Document:
        """Return the item as it begins, without the content that later events bring."""
        document = self.document(text_in(self.fields, "status") or "in_progress")
        empty = {"arguments": "", "summary": [], "content": []}
        cleared = {name: value for name, value in empty.items() if document.get(name)}
        return document | cleared if self.type in TEXT_ITEM_TYPES else document

    def document(self, status: str) -> Document:
        """Return the item as it is now, with every field that OpenAI's types require."""
        own: Document = {"id": self.id, "type": self.type}
        if self.type == "message":
            own |= {"role": text_in(self.fields, "role") or "assistant"}
        elif self.type == "function_call":
            arguments = self.text(ARGUMENTS, {}).value
            own |= {"call_id": self.call_id, "name": self.name, "arguments": arguments}
        elif self.type == "reasoning":
            own |= {"summary": self._parts("summary_index")}
        content = self._parts("content_index")
        has_content = content or self.fields.get("content") is not None
        if self.type == "message" or (self.type == "reasoning" and has_content):
            own |= {"content": content}
        if self.type == "message" or self.type.endswith("_call") or self.fields.get("status"):
            own["status"] = (self.is_done and text_in(self.fields, "status")) or status
        return self.fields | own

    def _parts(self, index_field: str) -> list[Document]:
        return [
            text.part(text.value) for text in self.texts if text.kind.index_field == index_field
        ]
