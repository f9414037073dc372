"""Handles the provider's events about texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llm_relay.core.defaults import Document, object_in, objects_in, text_in, with_defaults
from llm_relay.streaming.responses import item_text
from llm_relay.streaming.responses.item_text import OUTPUT_TEXT, SUMMARY, ItemText
from llm_relay.streaming.responses.text_events import (
    done_events,
    part_added_events,
    text_event,
    with_reference,
)

if TYPE_CHECKING:
    from llm_relay.streaming.responses.item import OutputItem
    from llm_relay.streaming.responses.output import ResponseOutput


class TextHandlers:
    """Each method returns the completed event, after the events that have to precede it."""

    def __init__(self, output: ResponseOutput) -> None:
        self._output = output

    def delta(self, kind: item_text.TextKind, document: Document) -> list[Document]:
        """Handle a .delta: a piece of a text."""
        item, text = self._find(kind, document)
        piece = text_in(document, "delta")
        text.append(piece)
        if not item.can_be_announced:
            return []  # its pieces are sent together once its names are known
        before = self._output.announce(item) + part_added_events(item, text)
        piece = piece if text.delta_sent else text.value
        text.delta_sent |= bool(piece)
        return [*before, text_event(document, item, text) | {"delta": piece}]

    def done(self, kind: item_text.TextKind, document: Document) -> list[Document]:
        """Handle a .done: the whole text."""
        item, text = self._find(kind, document)
        if text.done_sent:
            return []  # the provider sends it under two names
        text.set_final(document.get(kind.field))
        text.is_ended = True
        if not item.can_be_announced:
            return []
        return self._output.announce(item) + done_events(item, text, document)

    def part_added(self, document: Document) -> list[Document]:
        """Handle the beginning of a text's part."""
        if not object_in(document, "part"):
            return []  # a later event shows which part begins
        item, text = self._find_part(document)
        if text.part_added_sent:
            return []
        text.append(text_in(text.fields, text.kind.field))
        *before, own = self._output.announce(item) + part_added_events(item, text)
        return [*before, document | own]

    def part_done(self, document: Document) -> list[Document]:
        """Handle the end of a text's part."""
        if not object_in(document, "part"):
            return []
        item, text = self._find_part(document)
        if text.part_done_sent:
            return []
        text.set_final(text.fields.get(text.kind.field))
        before = self._output.announce(item) + done_events(item, text)
        text.part_done_sent = True
        done = with_reference(document, item, text)
        return [*before, done | {"part": text.part(text.value)}]

    def annotation(self, document: Document) -> list[Document]:
        """Handle an annotation of a text."""
        item, text = self._find(OUTPUT_TEXT, document)
        before = self._output.announce(item) + part_added_events(item, text)
        annotations = objects_in(text.fields, "annotations")
        index = {"annotation_index": len(annotations)}
        added = with_defaults(index, with_reference(document, item, text))
        annotations.append(object_in(document, "annotation"))
        text.fields = text.fields | {"annotations": annotations}
        return [*before, added]

    def _find(self, kind: item_text.TextKind, document: Document) -> tuple[OutputItem, ItemText]:
        item = self._output.find_or_create(kind.item_type, document, text_in(document, "item_id"))
        item.update_names(document)
        return item, item.text(kind, document)

    def _find_part(self, document: Document) -> tuple[OutputItem, ItemText]:
        part, item_id = object_in(document, "part"), text_in(document, "item_id")
        known = self._output.find(item_id)
        kind = item_text.kind_of_part(part, known.type if known else "message")
        if "summary" in document["type"] or part.get("type") == SUMMARY.part_type:
            kind = SUMMARY
        item = self._output.find_or_create(kind.item_type, document, item_id)
        text = item.text(kind, document | part)
        text.fields = part
        return item, text
