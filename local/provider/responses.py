"""The shapes of a Responses answer, whole and streamed."""

from collections.abc import Iterator
from dataclasses import dataclass

from local.provider.answers import pieces
from local.provider.turn import CREATED, Turn
from local.provider.wire import DONE, Json, Step, frame


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


def body(turn: Turn) -> Json:
    """Return a whole response."""
    return {**_finished(turn), **turn.credit_fields(streamed=False)}


def steps(turn: Turn) -> list[Step]:
    """Return the frames of a streamed response."""
    minimal = turn.switches["responses-stream"] == "minimal"
    numbered = not minimal and turn.switches.on("sequence-numbers")
    frames = [
        event.step({"sequence_number": number} if numbered else {})
        for number, event in enumerate(_minimal(turn) if minimal else _full(turn))
    ]
    return [*frames, DONE] if turn.switches.on("done") else frames


def _head(turn: Turn, status: str) -> Json:
    return {
        "id": turn.identifier("resp"),
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "model": turn.model,
    }


def _status(turn: Turn) -> str:
    return "incomplete" if turn.answer.is_cut else "completed"


def _finished(turn: Turn) -> Json:
    response = {**_head(turn, _status(turn)), "output": [_item(turn, _status(turn))]}
    if turn.answer.is_cut:
        response["incomplete_details"] = {"reason": "max_output_tokens"}
    if turn.switches["usage"] != "never":
        response["usage"] = {
            "input_tokens": turn.answer.prompt_tokens,
            "output_tokens": turn.answer.output_tokens,
            "total_tokens": turn.answer.total_tokens,
        }
    return response


def _item(turn: Turn, status: str) -> Json:
    """Return the output item; one in progress is still empty."""
    empty = status == "in_progress"
    if turn.answer.function:
        return {
            "id": turn.identifier("fc"),
            "type": "function_call",
            "status": status,
            "call_id": turn.identifier("call"),
            "name": turn.answer.function,
            "arguments": "" if empty else turn.answer.arguments,
        }
    return {
        "id": turn.identifier("msg"),
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": [] if empty else [_part(turn.answer.text)],
    }


def _part(text: str) -> Json:
    return {"type": "output_text", "text": text, "annotations": []}


def _full(turn: Turn) -> Iterator[Event]:
    started = {**_head(turn, "in_progress"), "output": []}
    yield Event("response.created", {"response": started})
    yield Event("response.in_progress", {"response": started})
    place = {"output_index": 0}
    yield Event("response.output_item.added", {**place, "item": _item(turn, "in_progress")})
    yield from _call_events(turn) if turn.answer.function else _text_events(turn)
    yield Event("response.output_item.done", {**place, "item": _item(turn, _status(turn))})
    final = {**_finished(turn), **turn.credit_fields(streamed=True)}
    yield Event(f"response.{_status(turn)}", {"response": final}, is_terminal=True)


def _text_events(turn: Turn) -> Iterator[Event]:
    place = {"item_id": turn.identifier("msg"), "output_index": 0, "content_index": 0}
    text = turn.answer.text
    yield Event("response.content_part.added", {**place, "part": _part("")})
    for piece in pieces(text, turn.switches.number("chunks")):
        fields = {**place, "delta": piece, "logprobs": []}
        yield Event("response.output_text.delta", fields, is_piece=True)
    yield Event("response.output_text.done", {**place, "text": text, "logprobs": []})
    yield Event("response.content_part.done", {**place, "part": _part(text)})


def _call_events(turn: Turn) -> Iterator[Event]:
    place = {"item_id": turn.identifier("fc"), "output_index": 0}
    arguments = turn.answer.arguments
    delta, done = "response.function_call_arguments.delta", "response.function_call_arguments.done"
    if turn.switches["tool-events"] == "provider":
        delta, done = "response.function_call.arguments.delta", "response.function_call.done"
    for piece in pieces(arguments, turn.switches.number("chunks")):
        yield Event(delta, {**place, "delta": piece}, is_piece=True)
    yield Event(done, {**place, "name": turn.answer.function, "arguments": arguments})


def _minimal(turn: Turn) -> Iterator[Event]:
    yield Event("response.created", {"response": {**_head(turn, "in_progress"), "output": []}})
    if turn.answer.function:
        yield from _call_events(turn)
    for piece in pieces(turn.answer.text, turn.switches.number("chunks")):
        yield Event("response.output_text.delta", {"delta": piece}, is_piece=True)
    yield Event("response.completed", {"response": _head(turn, "completed")}, is_terminal=True)
