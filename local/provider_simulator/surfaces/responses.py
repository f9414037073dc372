"""The shapes of a Responses answer, whole and streamed."""

from collections.abc import Iterator

from local.provider_simulator.surfaces.items import (
    SEARCH,
    Event,
    full_events,
    item,
    kinds,
    minimal_events,
)
from local.provider_simulator.surfaces.turn import CREATED, CompletedTurn
from local.provider_simulator.wire import DONE, Json, Step


def body(turn: CompletedTurn) -> Json:
    """Return a whole response."""
    return {**_finished(turn), **turn.credit_fields(streamed=False)}


def steps(turn: CompletedTurn) -> list[Step]:
    """Return the frames of a streamed response."""
    minimal = turn.switches["responses-stream"] == "minimal"
    numbered = not minimal and turn.switches.on("sequence-numbers")
    frames = [
        event.step({"sequence_number": number} if numbered else {})
        for number, event in enumerate(_minimal(turn) if minimal else _full(turn))
    ]
    return [*frames, DONE] if turn.switches.on("done") else frames


def _head(turn: CompletedTurn, status: str) -> Json:
    return {
        "id": turn.identifier("resp"),
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "model": turn.model,
    }


def _status(turn: CompletedTurn) -> str:
    return "incomplete" if turn.answer.is_cut else "completed"


def _finished(turn: CompletedTurn) -> Json:
    status = _status(turn)
    output = [item(turn, kind, _item_status(turn, kind)) for kind in kinds(turn)]
    response = {**_head(turn, status), "output": output}
    if turn.answer.is_cut:
        response["incomplete_details"] = {"reason": "max_output_tokens"}
    if turn.switches["usage"] != "never":
        response["usage"] = {
            "input_tokens": turn.answer.prompt_tokens,
            "output_tokens": turn.answer.output_tokens,
            "total_tokens": turn.answer.total_tokens,
        }
    return response


def _item_status(turn: CompletedTurn, kind: str) -> str:
    return "completed" if kind == SEARCH else _status(turn)


def _full(turn: CompletedTurn) -> Iterator[Event]:
    early, rest = _parted(turn)
    for kind in early:
        yield from full_events(turn, kind, 0, "completed")
    started = {**_head(turn, "in_progress"), "output": []}
    yield Event("response.created", {"response": started})
    yield Event("response.in_progress", {"response": started})
    for index, kind in enumerate(rest):
        yield from full_events(turn, kind, index, _item_status(turn, kind))
    final = {**_finished(turn), **turn.credit_fields(streamed=True)}
    yield Event(f"response.{_status(turn)}", {"response": final}, is_terminal=True)


def _minimal(turn: CompletedTurn) -> Iterator[Event]:
    early, rest = _parted(turn)
    for kind in early:
        yield from minimal_events(turn, kind)
    yield Event("response.created", {"response": {**_head(turn, "in_progress"), "output": []}})
    for kind in rest:
        yield from minimal_events(turn, kind)
    yield Event("response.completed", {"response": _head(turn, "completed")}, is_terminal=True)


def _parted(turn: CompletedTurn) -> tuple[list[str], list[str]]:
    """Return the items before the model's own stream, which then counts from 0 again, and in it."""
    count = 1 if turn.switches["web-search"] == "first" else 0
    return kinds(turn)[:count], kinds(turn)[count:]
