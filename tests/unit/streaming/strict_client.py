"""A reader of Responses streams as strict as the helper of OpenAI's client for Node."""

from __future__ import annotations

from typing import Any

Event = dict[str, Any]

# Which kind of item an event may be about, and where the text stands that it adds to.
TEXTS = {
    "output_text": ("message", "content", "text"),
    "refusal": ("message", "content", "refusal"),
    "reasoning_text": ("reasoning", "content", "text"),
    "reasoning_summary_text": ("reasoning", "summary", "text"),
    "function_call_arguments": ("function_call", "", "arguments"),
}
PARTS = {"content_part": "content", "reasoning_summary_part": "summary"}


class StrictClient:
    """Puts a stream together; an AssertionError at what the helper would raise at."""

    def __init__(self, events: list[Event]) -> None:
        self.output: list[Event] = []
        self.is_consistent = True  # every text is the sum of its deltas
        numbers = [event["sequence_number"] for event in events]
        assert numbers == sorted(numbers)
        first, *rest = events
        assert first["type"] == "response.created"
        self.response_id = first["response"]["id"]
        for event in rest:
            self._take(event)
        self.final = events[-1]["response"]
        assert len({item["id"] for item in self.output}) == len(self.output)

    def texts(self, kind: str, name: str) -> list[str]:
        """Return the texts of all items of a kind, as their deltas sent them."""
        parts = [part for item in self.output if item["type"] == kind for part in _parts(item)]
        return [part[name] for part in parts if name in part]

    def _take(self, event: Event) -> None:
        subject, _, verb = event["type"].removeprefix("response.").rpartition(".")
        if not subject:
            assert event["response"]["id"] == self.response_id
        elif subject == "output_item":
            self._take_item(event, verb)
        elif subject in PARTS:
            self._take_part(event, PARTS[subject], verb)
        elif subject == "output_text.annotation":
            assert event["annotation_index"] == 0
        elif subject in TEXTS:
            self._take_text(event, *TEXTS[subject], verb)
        else:
            assert self._item(event)["type"] == subject

    def _take_item(self, event: Event, verb: str) -> None:
        item = event["item"]
        assert item["id"]
        if verb == "added":
            assert event["output_index"] == len(self.output)
            self.output.append(item)
            return
        known = self.output[event["output_index"]]
        for name in ("id", "type", "call_id"):
            assert known.get(name) == item.get(name)
        assert "is_done" not in known
        known["is_done"] = True

    def _take_part(self, event: Event, name: str, verb: str) -> None:
        item = self._item(event)
        parts = item[name] = item.get(name) or []
        index = event[name.replace("content", "content_index").replace("summary", "summary_index")]
        if verb == "added":
            assert index == len(parts)
            parts.append(event["part"])
        else:
            assert parts[index]["type"] == event["part"]["type"]

    def _take_text(self, event: Event, kind: str, within: str, name: str, verb: str) -> None:
        holder = self._item(event)
        assert holder["type"] == kind
        if within:
            holder = holder[within][event[f"{within}_index"]]
        if verb == "delta":
            holder[name] += event["delta"]
        else:
            self.is_consistent &= holder[name] == event[name]

    def _item(self, event: Event) -> Event:
        item = self.output[event["output_index"]]
        assert item["id"] == event["item_id"] != ""
        assert "is_done" not in item
        return item


def _parts(item: Event) -> list[Event]:
    return [item, *(item.get("content") or []), *(item.get("summary") or [])]
