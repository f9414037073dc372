"""Output items of a Responses answer, and their stream events."""

from collections.abc import Iterator
from dataclasses import dataclass

from local.provider_simulator.content.answers import split_text
from local.provider_simulator.endpoints.completion import Completion
from local.provider_simulator.wire import Json, Step, frame

SEARCH = "web_search_call"
NO_LOCATION: Json = {}  # events of a minimal stream have no location


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a stream."""

    type: str
    fields: Json
    is_piece: bool = False
    is_terminal: bool = False

    def step(self, number: Json) -> Step:
        """Return the event with its sequence number as a write."""
        data = frame({"type": self.type, **self.fields, **number}, self.type)
        return Step(data=data, is_piece=self.is_piece, is_terminal=self.is_terminal)


@dataclass(frozen=True, slots=True)
class TextKind:
    """The names of a kind of text in its part and its events."""

    part: str
    field: str
    events: str
    part_events: str = "content_part"
    index: str = "content_index"
    lists: tuple[str, ...] = ()  # empty lists of its part
    delta_lists: tuple[str, ...] = ()


OUTPUT_TEXT = TextKind(
    "output_text", "text", "output_text", lists=("annotations",), delta_lists=("logprobs",)
)
REFUSAL = TextKind("refusal", "refusal", "refusal")
REASONING_TEXT = TextKind("reasoning_text", "text", "reasoning_text")
SUMMARY = TextKind(
    "summary_text", "text", "reasoning_summary_text", "reasoning_summary_part", "summary_index"
)


def kinds(completion: Completion) -> list[str]:
    """Return the kinds of an answer's items, in order."""
    has_reasoning = completion.answer.reasoning and completion.switches["reasoning-items"] != "none"
    return [
        *([SEARCH] if completion.switches["web-search"] != "none" else []),
        *(["reasoning"] if has_reasoning else []),
        "function_call" if completion.answer.function else "message",
    ]


def item(completion: Completion, kind: str, status: str) -> Json:
    """Return an item; one in progress is empty."""
    empty = status == "in_progress"
    head = {"id": identifier(completion, kind), "type": kind}
    if kind == "reasoning":
        return head | _reasoning(completion, empty=empty)
    head["status"] = status
    if kind == SEARCH:
        return head | {"action": {"type": "search", "query": completion.prompt.text}}
    if kind == "message":
        content = [] if empty else [_part(_message_kind(completion), completion.answer.text)]
        return head | {"role": "assistant", "content": content}
    call = {"call_id": completion.identifier("call"), "name": completion.answer.function}
    return head | call | {"arguments": "" if empty else completion.answer.arguments}


def identifier(completion: Completion, kind: str) -> str:
    """Return an item's id."""
    prefixes = {"message": "msg", "function_call": "fc", "reasoning": "rs", SEARCH: "ws"}
    return completion.identifier(prefixes[kind])


def full_events(completion: Completion, kind: str, index: int, status: str) -> Iterator[Event]:
    """Yield every event of one item."""
    location = {"output_index": index}
    yield Event(
        "response.output_item.added", {**location, "item": item(completion, kind, "in_progress")}
    )
    yield from _inner_events(
        completion, kind, {"item_id": identifier(completion, kind), **location}
    )
    yield Event("response.output_item.done", {**location, "item": item(completion, kind, status)})


def minimal_events(completion: Completion, kind: str) -> Iterator[Event]:
    """Yield the events of one item that a minimal stream contains, without locations."""
    if kind == SEARCH:
        bare = {"type": SEARCH, "status": "in_progress"}
        yield Event("response.output_item.added", {"item": bare})
        yield from _inner_events(completion, kind, NO_LOCATION)
        yield Event("response.output_item.done", {"item": {**bare, "status": "completed"}})
    elif kind == "function_call":
        yield from _call_events(
            completion, {"item_id": identifier(completion, kind), "output_index": 0}
        )
    else:
        yield from _inner_events(completion, kind, NO_LOCATION)


def _inner_events(completion: Completion, kind: str, location: Json) -> Iterator[Event]:
    if kind == SEARCH:
        for state in ("in_progress", "searching", "completed"):
            yield Event(f"response.{SEARCH}.{state}", location)
    elif kind == "function_call":
        yield from _call_events(completion, location)
    elif kind == "reasoning":
        yield from _text_events(
            completion, _reasoning_kind(completion), completion.answer.reasoning, location
        )
    else:
        yield from _text_events(
            completion, _message_kind(completion), completion.answer.text, location
        )


def _text_events(
    completion: Completion, kind: TextKind, text: str, location: Json
) -> Iterator[Event]:
    location = {**location, kind.index: 0} if location else NO_LOCATION
    lists: Json = {name: [] for name in kind.delta_lists} if location else {}
    if location:
        yield Event(f"response.{kind.part_events}.added", {**location, "part": _part(kind, "")})
    for piece in split_text(text, completion.switches.number("chunks")):
        fields = {**location, "delta": piece, **lists}
        yield Event(f"response.{kind.events}.delta", fields, is_piece=True)
    if location:
        yield Event(f"response.{kind.events}.done", {**location, kind.field: text, **lists})
        yield Event(f"response.{kind.part_events}.done", {**location, "part": _part(kind, text)})


def _call_events(completion: Completion, location: Json) -> Iterator[Event]:
    arguments = completion.answer.arguments
    delta, done = "response.function_call_arguments.delta", "response.function_call_arguments.done"
    if completion.switches["tool-events"] == "provider":
        delta, done = "response.function_call.arguments.delta", "response.function_call.done"
    for piece in split_text(arguments, completion.switches.number("chunks")):
        yield Event(delta, {**location, "delta": piece}, is_piece=True)
    yield Event(done, {**location, "name": completion.answer.function, "arguments": arguments})


def _message_kind(completion: Completion) -> TextKind:
    return REFUSAL if completion.switches.on("refuses") else OUTPUT_TEXT


def _reasoning_kind(completion: Completion) -> TextKind:
    return SUMMARY if completion.switches["reasoning-items"] == "summary" else REASONING_TEXT


def _reasoning(completion: Completion, *, empty: bool) -> Json:
    kind = _reasoning_kind(completion)
    parts = [] if empty else [_part(kind, completion.answer.reasoning)]
    return {"summary": parts} if kind is SUMMARY else {"summary": [], "content": parts}


def _part(kind: TextKind, text: str) -> Json:
    return {"type": kind.part, kind.field: text, **{name: [] for name in kind.lists}}
