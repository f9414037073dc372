"""Format Responses answers, buffered and streamed."""

from collections.abc import Iterator

from local.provider_simulator.endpoints.completion import CREATED, Completion
from local.provider_simulator.endpoints.items import (
    SEARCH,
    Event,
    full_events,
    item,
    kinds,
    minimal_events,
)
from local.provider_simulator.wire import DONE, Json, Step


def body(completion: Completion) -> Json:
    """Return a buffered response."""
    return {**_finished(completion), **completion.credit_fields(streamed=False)}


def steps(completion: Completion) -> list[Step]:
    """Return the frames of a streamed response."""
    minimal = completion.switches["responses-stream"] == "minimal"
    numbered = not minimal and completion.switches.on("sequence-numbers")
    frames = [
        event.step({"sequence_number": number} if numbered else {})
        for number, event in enumerate(_minimal(completion) if minimal else _full(completion))
    ]
    return [*frames, DONE] if completion.switches.on("done") else frames


def _head(completion: Completion, status: str) -> Json:
    return {
        "id": completion.identifier("resp"),
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "model": completion.model,
    }


def _status(completion: Completion) -> str:
    return "incomplete" if completion.answer.is_truncated else "completed"


def _finished(completion: Completion) -> Json:
    status = _status(completion)
    output = [item(completion, kind, _item_status(completion, kind)) for kind in kinds(completion)]
    response = {**_head(completion, status), "output": output}
    if completion.answer.is_truncated:
        response["incomplete_details"] = {"reason": "max_output_tokens"}
    if completion.switches["usage"] != "never":
        response["usage"] = {
            "input_tokens": completion.answer.prompt_tokens,
            "output_tokens": completion.answer.output_tokens,
            "total_tokens": completion.answer.total_tokens,
        }
    return response


def _item_status(completion: Completion, kind: str) -> str:
    return "completed" if kind == SEARCH else _status(completion)


def _full(completion: Completion) -> Iterator[Event]:
    leading, rest = _split_leading_items(completion)
    for kind in leading:
        yield from full_events(completion, kind, 0, "completed")
    started = {**_head(completion, "in_progress"), "output": []}
    yield Event("response.created", {"response": started})
    yield Event("response.in_progress", {"response": started})
    for index, kind in enumerate(rest):
        yield from full_events(completion, kind, index, _item_status(completion, kind))
    final = {**_finished(completion), **completion.credit_fields(streamed=True)}
    yield Event(f"response.{_status(completion)}", {"response": final}, is_terminal=True)


def _minimal(completion: Completion) -> Iterator[Event]:
    leading, rest = _split_leading_items(completion)
    for kind in leading:
        yield from minimal_events(completion, kind)
    yield Event(
        "response.created", {"response": {**_head(completion, "in_progress"), "output": []}}
    )
    for kind in rest:
        yield from minimal_events(completion, kind)
    yield Event(
        "response.completed", {"response": _head(completion, "completed")}, is_terminal=True
    )


def _split_leading_items(completion: Completion) -> tuple[list[str], list[str]]:
    """Return the items before `response.created`, and those after it, which count from 0."""
    count = 1 if completion.switches["web-search"] == "first" else 0
    return kinds(completion)[:count], kinds(completion)[count:]
