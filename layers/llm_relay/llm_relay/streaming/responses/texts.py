"""The events of texts that come in pieces: of messages, refusals, reasoning and arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llm_relay.core.defaults import Document, object_in, objects_in, text_in, with_defaults
from llm_relay.streaming.responses.items import ARGUMENTS, OUTPUT_TEXT, SUMMARY, kind_of_part

if TYPE_CHECKING:
    from llm_relay.streaming.responses.items import Item, Text, TextKind
    from llm_relay.streaming.responses.output import ResponseOutput


class ResponseTexts:
    """Each method returns an event as it should be, after those that should have come before it.

    https://platform.openai.com/docs/api-reference/responses-streaming
    """

    def __init__(self, output: ResponseOutput) -> None:
        self._output = output
        self.latest: Text | None = None  # the one that the last delta was a piece of

    def delta(self, kind: TextKind, document: Document) -> list[Document]:
        """A piece of a text."""
        item, text = self._find(kind, document)
        piece = text_in(document, "delta")
        text.add(piece)
        self.latest = text
        if not item.is_tellable:
            return []  # its pieces go out together, once its names are known
        before = self._output.announced(item) + announced(item, text)
        piece = piece if text.is_told else text.value
        text.is_told |= bool(piece)
        return [*before, _about(document, item, text) | {"delta": piece}]

    def done(self, kind: TextKind, document: Document) -> list[Document]:
        """A text is whole."""
        item, text = self._find(kind, document)
        if text.is_over:
            return []  # the same under another name
        text.settle(document.get(kind.field))
        text.is_ended = True
        if not item.is_tellable:
            return []
        before = self._output.announced(item) + told(item, text)
        text.is_over = True
        return [*before, _about(document, item, text) | _whole(item, text)]

    def part_added(self, document: Document) -> list[Document]:
        """The part that holds a text begins."""
        if not object_in(document, "part"):
            return []  # what begins will show
        item, text = self._part(document)
        if text.is_announced:
            return []
        text.add(text_in(text.fields, text.kind.field))
        *before, own = self._output.announced(item) + announced(item, text)
        return [*before, document | own]

    def part_done(self, document: Document) -> list[Document]:
        """The part that holds a text is over."""
        if not object_in(document, "part"):
            return []
        item, text = self._part(document)
        if text.is_done:
            return []
        text.settle(text.fields.get(text.kind.field))
        before = self._output.announced(item) + over(item, text)
        text.is_done = True
        return [*before, placed(document, item, text) | {"part": text.part(text.value)}]

    def annotation(self, document: Document) -> list[Document]:
        """A text is annotated."""
        item, text = self._find(OUTPUT_TEXT, document)
        before = self._output.announced(item) + announced(item, text)
        annotations = objects_in(text.fields, "annotations")
        place = with_defaults({"annotation_index": len(annotations)}, placed(document, item, text))
        annotations.append(object_in(document, "annotation"))
        text.fields = text.fields | {"annotations": annotations}
        return [*before, place]

    def _find(self, kind: TextKind, document: Document) -> tuple[Item, Text]:
        item = self._output.find(kind.item, document, document.get("item_id"))
        item.names(document)
        return item, item.text(kind, document)

    def _part(self, document: Document) -> tuple[Item, Text]:
        given = object_in(document, "part")
        is_summary = "summary" in document["type"] or given.get("type") == SUMMARY.name
        known = self._output.named(document.get("item_id"))
        kind = SUMMARY if is_summary else kind_of_part(given, known.kind if known else "message")
        item = self._output.find(kind.item, document, document.get("item_id"))
        text = item.text(kind, document | given)
        text.fields = given
        return item, text


def placed(document: Document, item: Item, text: Text) -> Document:
    """Return an event about a text with the place that the text has here."""
    index = {text.kind.index: text.index} if text.kind.index else {}
    return document | item.place() | index


def announced(item: Item, text: Text) -> list[Document]:
    """Return the events that begin a part and those before it, as far as none has gone out."""
    events = []
    for each in item.texts[: item.texts.index(text) + 1]:
        is_beside = each.kind.has_parts and each.kind.index == text.kind.index
        if is_beside and not each.is_announced:
            each.is_announced = True
            events.append(_part_event("added", item, each, ""))
    return events


def told(item: Item, text: Text) -> list[Document]:
    """Return a part's beginning and its text as one piece, if none of it has gone out."""
    events = announced(item, text)
    if text.kind.events and text.value and not text.is_told:
        text.is_told = True
        delta = {"type": f"{text.kind.events}.delta", "delta": text.value}
        events.append(_about(delta, item, text))
    return events


def over(item: Item, text: Text) -> list[Document]:
    """Return what is missing up to the event that tells the text as a whole."""
    events = told(item, text)
    if not text.is_over:
        text.is_over = text.is_ended = True
        done = {"type": f"{text.kind.events}.done"}
        events.append(_about(done, item, text) | _whole(item, text))
    return events


def finished(item: Item) -> list[Document]:
    """Return what is missing up to the end of all parts.

    Reasoning that no event told of stays untold: what it comes to is in the item.
    """
    if item.kind == "function_call":
        return over(item, item.text(ARGUMENTS, {}))
    events = []
    for text in item.texts:
        if text.kind.events and (text.is_announced or item.kind == "message"):
            events += over(item, text)
            if not text.is_done:
                text.is_done = True
                events.append(_part_event("done", item, text, text.value))
    return events


def _part_event(end: str, item: Item, text: Text, value: str) -> Document:
    name = "reasoning_summary_part" if text.kind is SUMMARY else "content_part"
    return placed({"type": f"response.{name}.{end}", "part": text.part(value)}, item, text)


def _about(document: Document, item: Item, text: Text) -> Document:
    lists: Document = {name: [] for name in text.kind.lists}
    return with_defaults(lists, placed(document, item, text))


def _whole(item: Item, text: Text) -> Document:
    name = {"name": item.name} if text.kind is ARGUMENTS else {}
    return {text.kind.field: text.value} | name
