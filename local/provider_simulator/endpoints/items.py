"""Output items of a Responses answer, and their stream events."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from local.provider_simulator.endpoints.completion import Completion
from local.provider_simulator.wire import Json

SEARCH = "web_search_call"


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a stream."""

    type: str
    fields: Json
    is_piece: bool = False
    is_terminal: bool = False


@dataclass(frozen=True, slots=True)
class Item:
    """An item when it is added and when it is done, and the events between."""

    added: Json
    done: Json
    inner_events: Sequence[Event]

    def full_events(self, index: int) -> Iterator[Event]:
        """Yield every event of the item."""
        yield Event("response.output_item.added", {"output_index": index, "item": self.added})
        yield from self._located_events(index)
        yield Event("response.output_item.done", {"output_index": index, "item": self.done})

    def minimal_events(self) -> Iterator[Event]:
        """Yield the events that a minimal stream contains; only those of calls have a location."""
        if self.done["type"] == "function_call":
            yield from self._located_events(0)
        elif self.done["type"] == SEARCH:
            bare = {"type": SEARCH, "status": "in_progress"}
            yield Event("response.output_item.added", {"item": bare})
            yield from self.inner_events
            yield Event("response.output_item.done", {"item": bare | {"status": "completed"}})
        else:
            for event in self.inner_events:
                if event.is_piece:
                    yield replace(event, fields={"delta": event.fields["delta"]})

    def _located_events(self, index: int) -> Iterator[Event]:
        location = {"item_id": self.done["id"], "output_index": index}
        return (replace(event, fields=location | event.fields) for event in self.inner_events)


@dataclass(frozen=True, slots=True)
class TextKind:
    """The names of a kind of text in its part and its events."""

    type: str
    key: str
    event: str
    part_event: str = "content_part"
    index: str = "content_index"
    in_part: Json = field(default_factory=dict)  # constant fields
    in_events: Json = field(default_factory=dict)

    def part(self, text: str) -> Json:
        """Return the text as a part of an item."""
        return {"type": self.type, self.key: text, **self.in_part}

    def events(self, text: str, pieces: Sequence[str]) -> list[Event]:
        """Return the events of a text within its item."""
        index = {self.index: 0}
        deltas = [index | {"delta": piece} | self.in_events for piece in pieces]
        done = index | {self.key: text} | self.in_events
        return [
            Event(f"response.{self.part_event}.added", index | {"part": self.part("")}),
            *(Event(f"response.{self.event}.delta", delta, is_piece=True) for delta in deltas),
            Event(f"response.{self.event}.done", done),
            Event(f"response.{self.part_event}.done", index | {"part": self.part(text)}),
        ]


OUTPUT_TEXT = TextKind(
    "output_text", "text", "output_text", in_part={"annotations": []}, in_events={"logprobs": []}
)
REFUSAL = TextKind("refusal", "refusal", "refusal")
REASONING_TEXT = TextKind("reasoning_text", "text", "reasoning_text")
SUMMARY = TextKind(
    "summary_text", "text", "reasoning_summary_text", "reasoning_summary_part", "summary_index"
)


def output_items(completion: Completion, status: str) -> list[Item]:
    """Return an answer's items in order; the status is that of the last one."""
    items = []
    if completion.switches["web-search"] != "none":
        items.append(_search(completion))
    if completion.answer.reasoning and completion.switches["reasoning-items"] != "none":
        items.append(_reasoning(completion))
    last = _call if completion.answer.function else _message
    return [*items, last(completion, status)]


def _search(completion: Completion) -> Item:
    head = {"id": completion.identifier("ws"), "type": SEARCH, "status": "in_progress"}
    added = head | {"action": {"type": "search", "query": completion.prompt.text}}
    states = ("in_progress", "searching", "completed")
    events = [Event(f"response.{SEARCH}.{state}", {}) for state in states]
    return Item(added, added | {"status": "completed"}, events)


def _reasoning(completion: Completion) -> Item:
    is_summary = completion.switches["reasoning-items"] == "summary"
    kind, location = (SUMMARY, "summary") if is_summary else (REASONING_TEXT, "content")
    text = completion.answer.reasoning
    head: Json = {"id": completion.identifier("rs"), "type": "reasoning", "summary": []}
    done = head | {location: [kind.part(text)]}
    return Item(head | {location: []}, done, kind.events(text, completion.split(text)))


def _message(completion: Completion, status: str) -> Item:
    kind = REFUSAL if completion.switches.on("refuses") else OUTPUT_TEXT
    text = completion.answer.text
    head = {"id": completion.identifier("msg"), "type": "message", "status": "in_progress"}
    added: Json = head | {"role": "assistant", "content": []}
    done = added | {"status": status, "content": [kind.part(text)]}
    return Item(added, done, kind.events(text, completion.split(text)))


def _call(completion: Completion, status: str) -> Item:
    name, arguments = completion.answer.function, completion.answer.text
    head = {"id": completion.identifier("fc"), "type": "function_call", "status": "in_progress"}
    added = head | {"call_id": completion.identifier("call"), "name": name, "arguments": ""}
    delta, done = "response.function_call_arguments.delta", "response.function_call_arguments.done"
    if completion.switches["tool-events"] == "provider":
        delta, done = "response.function_call.arguments.delta", "response.function_call.done"
    pieces = completion.split(arguments)
    events = [Event(delta, {"delta": piece}, is_piece=True) for piece in pieces]
    events.append(Event(done, {"name": name, "arguments": arguments}))
    return Item(added, added | {"status": status, "arguments": arguments}, events)
