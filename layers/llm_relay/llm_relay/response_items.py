"""The output of a response while it streams: which items there are and what they hold so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Document = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class Item:
    """One output item, from its announcement to its end."""

    id: str
    index: int  # in the response's output
    kind: str  # "message", "function_call", or another that passes as it is
    name: str = ""  # of a function
    call_id: str = ""
    fields: Document = field(default_factory=dict)  # as the provider announced it
    texts: dict[int, str] = field(default_factory=dict)  # content index to text so far
    arguments: str = ""
    told: set[str] = field(default_factory=set)  # events that have gone out, parts by their index
    is_done: bool = False

    def document(self, status: str) -> Document:
        """Return the item as it is now, with every field that OpenAI's types require."""
        if self.kind == "message":
            texts = [output_text(text) for _, text in sorted(self.texts.items())]
            own: Document = {"role": "assistant", "content": self.fields.get("content") or texts}
        elif self.kind == "function_call":
            own = {"call_id": self.call_id, "name": self.name, "arguments": self.arguments}
        else:
            own = {}
        return {**self.fields, "id": self.id, "type": self.kind, "status": status, **own}

    def place(self) -> Document:
        """Return the fields by which events name the item."""
        return {"item_id": self.id, "output_index": self.index}

    @property
    def is_over(self) -> bool:
        """Whether no more text or arguments can come."""
        return self.is_done or "arguments done" in self.told

    @property
    def is_open(self) -> bool:
        """Whether deltas may come without anything before them."""
        begun = {"arguments", "added"} if self.kind == "function_call" else {"part 0", "added"}
        return begun <= self.told and not self.is_done

    def tells(self, event: str) -> bool:
        """Note that an event goes out; False if it has gone out before."""
        is_news = event not in self.told
        self.told.add(event)
        return is_news


def output_text(text: str) -> Document:
    """Return a content part of text."""
    return {"type": "output_text", "text": text, "annotations": []}
