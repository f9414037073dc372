"""The output items of a Responses answer, and the events that tell each of them."""

from collections.abc import Iterator
from dataclasses import dataclass

from local.provider_simulator.content.answers import pieces
from local.provider_simulator.surfaces.turn import CompletedTurn
from local.provider_simulator.wire import Json, Step, frame

SEARCH = "web_search_call"
NOT_PLACED: Json = {}  # the place of events in a minimal stream


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a stream."""

    type: str
    fields: Json
    is_piece: bool = False
    is_terminal: bool = False

    def step(self, number: Json) -> Step:
        """Return the event as it is sent, with its sequence number."""
        data = frame({"type": self.type, **self.fields, **number}, self.type)
        return Step(data=data, is_piece=self.is_piece, is_terminal=self.is_terminal)


@dataclass(frozen=True, slots=True)
class TextKind:
    """What a kind of text is called in its part and in its events."""

    part: str
    field: str
    events: str
    part_events: str = "content_part"
    index: str = "content_index"
    lists: tuple[str, ...] = ()  # which its part has, empty
    delta_lists: tuple[str, ...] = ()


OUTPUT_TEXT = TextKind(
    "output_text", "text", "output_text", lists=("annotations",), delta_lists=("logprobs",)
)
REFUSAL = TextKind("refusal", "refusal", "refusal")
REASONING_TEXT = TextKind("reasoning_text", "text", "reasoning_text")
SUMMARY = TextKind(
    "summary_text", "text", "reasoning_summary_text", "reasoning_summary_part", "summary_index"
)


def kinds(turn: CompletedTurn) -> list[str]:
    """Return the kinds of the items that an answer consists of, in order."""
    reasons = turn.answer.reasoning and turn.switches["reasoning-items"] != "none"
    return [
        *([SEARCH] if turn.switches["web-search"] != "none" else []),
        *(["reasoning"] if reasons else []),
        "function_call" if turn.answer.function else "message",
    ]


def item(turn: CompletedTurn, kind: str, status: str) -> Json:
    """Return an item; one in progress is still empty."""
    empty = status == "in_progress"
    head = {"id": identifier(turn, kind), "type": kind}
    if kind == "reasoning":
        return head | _reasoning(turn, empty=empty)
    head["status"] = status
    if kind == SEARCH:
        return head | {"action": {"type": "search", "query": turn.question.text}}
    if kind == "message":
        content = [] if empty else [_part(_message_kind(turn), turn.answer.text)]
        return head | {"role": "assistant", "content": content}
    call = {"call_id": turn.identifier("call"), "name": turn.answer.function}
    return head | call | {"arguments": "" if empty else turn.answer.arguments}


def identifier(turn: CompletedTurn, kind: str) -> str:
    """Return an item's id."""
    prefixes = {"message": "msg", "function_call": "fc", "reasoning": "rs", SEARCH: "ws"}
    return turn.identifier(prefixes[kind])


def full_events(turn: CompletedTurn, kind: str, index: int, status: str) -> Iterator[Event]:
    """Yield every event of one item."""
    place = {"output_index": index}
    yield Event("response.output_item.added", {**place, "item": item(turn, kind, "in_progress")})
    yield from _inner_events(turn, kind, {"item_id": identifier(turn, kind), **place})
    yield Event("response.output_item.done", {**place, "item": item(turn, kind, status)})


def minimal_events(turn: CompletedTurn, kind: str) -> Iterator[Event]:
    """Yield the events of one item that a minimal stream has; none names its place."""
    if kind == SEARCH:
        bare = {"type": SEARCH, "status": "in_progress"}
        yield Event("response.output_item.added", {"item": bare})
        yield from _inner_events(turn, kind, NOT_PLACED)
        yield Event("response.output_item.done", {"item": {**bare, "status": "completed"}})
    elif kind == "function_call":
        yield from _call_events(turn, {"item_id": identifier(turn, kind), "output_index": 0})
    else:
        yield from _inner_events(turn, kind, NOT_PLACED)


def _inner_events(turn: CompletedTurn, kind: str, place: Json) -> Iterator[Event]:
    if kind == SEARCH:
        for state in ("in_progress", "searching", "completed"):
            yield Event(f"response.{SEARCH}.{state}", place)
    elif kind == "function_call":
        yield from _call_events(turn, place)
    elif kind == "reasoning":
        yield from _text_events(turn, _reasoning_kind(turn), turn.answer.reasoning, place)
    else:
        yield from _text_events(turn, _message_kind(turn), turn.answer.text, place)


def _text_events(turn: CompletedTurn, kind: TextKind, text: str, place: Json) -> Iterator[Event]:
    place = {**place, kind.index: 0} if place else NOT_PLACED
    lists: Json = {name: [] for name in kind.delta_lists} if place else {}
    if place:
        yield Event(f"response.{kind.part_events}.added", {**place, "part": _part(kind, "")})
    for piece in pieces(text, turn.switches.number("chunks")):
        fields = {**place, "delta": piece, **lists}
        yield Event(f"response.{kind.events}.delta", fields, is_piece=True)
    if place:
        yield Event(f"response.{kind.events}.done", {**place, kind.field: text, **lists})
        yield Event(f"response.{kind.part_events}.done", {**place, "part": _part(kind, text)})


def _call_events(turn: CompletedTurn, place: Json) -> Iterator[Event]:
    arguments = turn.answer.arguments
    delta, done = "response.function_call_arguments.delta", "response.function_call_arguments.done"
    if turn.switches["tool-events"] == "provider":
        delta, done = "response.function_call.arguments.delta", "response.function_call.done"
    for piece in pieces(arguments, turn.switches.number("chunks")):
        yield Event(delta, {**place, "delta": piece}, is_piece=True)
    yield Event(done, {**place, "name": turn.answer.function, "arguments": arguments})


def _message_kind(turn: CompletedTurn) -> TextKind:
    return REFUSAL if turn.switches.on("refuses") else OUTPUT_TEXT


def _reasoning_kind(turn: CompletedTurn) -> TextKind:
    return SUMMARY if turn.switches["reasoning-items"] == "summary" else REASONING_TEXT


def _reasoning(turn: CompletedTurn, *, empty: bool) -> Json:
    kind = _reasoning_kind(turn)
    parts = [] if empty else [_part(kind, turn.answer.reasoning)]
    return {"summary": parts} if kind is SUMMARY else {"summary": [], "content": parts}


def _part(kind: TextKind, text: str) -> Json:
    return {"type": kind.part, kind.field: text, **{name: [] for name in kind.lists}}
