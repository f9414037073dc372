"""Builds the events about texts that the provider left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llm_relay.core.defaults import Document, with_defaults
from llm_relay.streaming.responses.item_text import ARGUMENTS, OUTPUT_TEXT, SUMMARY, ItemText

if TYPE_CHECKING:
    from llm_relay.streaming.responses.item import OutputItem


def text_event(document: Document, item: OutputItem, text: ItemText) -> Document:
    """Return an event about a text, with the fields that refer to it."""
    lists: Document = {"logprobs": []} if text.kind is OUTPUT_TEXT else {}
    return with_defaults(lists, with_reference(document, item, text))


def with_reference(document: Document, item: OutputItem, text: ItemText) -> Document:
    """Return an event with the fields that refer to the text."""
    index_field = text.kind.index_field
    return document | item.reference() | ({index_field: text.index} if index_field else {})


def part_added_events(item: OutputItem, text: ItemText) -> list[Document]:
    """Return the unsent events that begin the text's part and the parts before it."""
    events = []
    for each in item.texts[: item.texts.index(text) + 1]:
        is_sibling = each.kind.index_field == text.kind.index_field != ""
        if is_sibling and not each.part_added_sent:
            each.part_added_sent = True
            events.append(_part_event("added", item, each, ""))
    return events


def delta_events(item: OutputItem, text: ItemText) -> list[Document]:
    """Return the part's beginning, and the text as one piece if none of it was sent."""
    events = part_added_events(item, text)
    if text.kind.event_prefix and text.value and not text.delta_sent:
        text.delta_sent = True
        delta = {"type": f"{text.kind.event_prefix}.delta", "delta": text.value}
        events.append(text_event(delta, item, text))
    return events


def done_events(item: OutputItem, text: ItemText, given: Document | None = None) -> list[Document]:
    """Return the unsent events of a text up to its .done, which the provider may have given."""
    events = delta_events(item, text)
    if not text.done_sent:
        text.done_sent = text.is_ended = True
        done = text_event(given or {"type": f"{text.kind.event_prefix}.done"}, item, text)
        name = {"name": item.name} if text.kind is ARGUMENTS else {}
        events.append(done | {text.kind.field: text.value} | name)
    return events


def closing_events(item: OutputItem) -> list[Document]:
    """Return the unsent events of all texts of an item.

    Reasoning that came without events of its own gets none: the item holds it.
    """
    if item.type == "function_call":
        return done_events(item, item.text(ARGUMENTS, {}))
    events = []
    for text in item.texts:
        if text.kind.event_prefix and (text.part_added_sent or item.type == "message"):
            events += done_events(item, text)
            if not text.part_done_sent:
                text.part_done_sent = True
                events.append(_part_event("done", item, text, text.value))
    return events


def _part_event(end: str, item: OutputItem, text: ItemText, value: str) -> Document:
    name = "reasoning_summary_part" if text.kind is SUMMARY else "content_part"
    return with_reference({"type": f"response.{name}.{end}", "part": text.part(value)}, item, text)
