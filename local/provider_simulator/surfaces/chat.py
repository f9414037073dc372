"""The shapes of a chat completion, whole and streamed."""

from collections.abc import Iterator

from local.provider_simulator.content.answers import pieces
from local.provider_simulator.surfaces.turn import CREATED, CompletedTurn
from local.provider_simulator.wire import DONE, Json, Step, frame


def body(turn: CompletedTurn) -> Json:
    """Return a whole chat completion."""
    head = _head(turn, "chat.completion")
    choices = [_choice(turn, index) for index in range(turn.question.choices)]
    usage = {} if turn.switches["usage"] == "never" else {"usage": _usage(turn)}
    return {**head, "choices": choices, **usage, **turn.credit_fields(streamed=False)}


def steps(turn: CompletedTurn) -> list[Step]:
    """Return the frames of a streamed chat completion."""
    frames = [step for index in range(turn.question.choices) for step in _choice_steps(turn, index)]
    credit_fields = turn.credit_fields(streamed=True)
    if _shows_usage(turn):
        last = {"choices": [], "usage": _usage(turn), **credit_fields}
        frames.append(_chunk(turn, last))
    elif credit_fields:
        frames.append(_chunk(turn, {"choices": [], **credit_fields}))
    if turn.switches["done"] != "off":
        frames.append(DONE)
    return frames


def _head(turn: CompletedTurn, kind: str) -> Json:
    identifier = turn.identifier("chatcmpl").replace("_", "-")
    return {"id": identifier, "object": kind, "created": CREATED, "model": turn.model}


def _choice(turn: CompletedTurn, index: int) -> Json:
    message: Json = {"role": "assistant", "content": turn.answer.text or None}
    message |= _reasoning(turn)
    if turn.answer.function and turn.question.legacy_function:
        message["function_call"] = _call(turn)
    elif turn.answer.function:
        identifier = turn.identifier("call", index)
        message["tool_calls"] = [{"id": identifier, "type": "function", "function": _call(turn)}]
    return {"index": index, "message": message, "finish_reason": _ending(turn)}


def _call(turn: CompletedTurn) -> Json:
    return {"name": turn.answer.function, "arguments": turn.answer.arguments}


def _reasoning(turn: CompletedTurn) -> Json:
    place = turn.switches["reasoning-field"]
    if not turn.answer.reasoning or place == "none":
        return {}
    names = ("reasoning", "reasoning_content") if place == "both" else (place,)
    return dict.fromkeys(names, turn.answer.reasoning)


def _ending(turn: CompletedTurn) -> str:
    if turn.answer.function:
        return "function_call" if turn.question.legacy_function else "tool_calls"
    return "length" if turn.answer.is_cut else "stop"


def _usage(turn: CompletedTurn) -> Json:
    return {
        "prompt_tokens": turn.answer.prompt_tokens,
        "completion_tokens": turn.answer.output_tokens,
        "total_tokens": turn.answer.total_tokens,
        "prompt_tokens_details": {"cached_tokens": 0},
    }


def _shows_usage(turn: CompletedTurn) -> bool:
    when = turn.switches["usage"]
    return when == "always" or (when == "asked" and turn.wants_usage)


def _choice_steps(turn: CompletedTurn, index: int) -> Iterator[Step]:
    yield _delta(turn, index, {"role": "assistant", "content": ""})
    if reasoning := _reasoning(turn):
        yield _delta(turn, index, reasoning)
    call = turn.answer.function
    opening = _fragment(turn, index, {"name": call, "arguments": ""}, is_first=True)
    if call:
        yield _delta(turn, index, opening)
    for piece in pieces(turn.answer.arguments or turn.answer.text, turn.switches.number("chunks")):
        delta = _fragment(turn, index, {"arguments": piece}) if call else {"content": piece}
        yield _delta(turn, index, delta, is_piece=True)
    yield _delta(turn, index, {}, ending=_ending(turn))


def _fragment(turn: CompletedTurn, index: int, function: Json, *, is_first: bool = False) -> Json:
    if turn.question.legacy_function:
        return {"function_call": function}
    start = {"id": turn.identifier("call", index), "type": "function"} if is_first else {}
    return {"tool_calls": [{"index": 0, **start, "function": function}]}


def _delta(
    turn: CompletedTurn,
    index: int,
    delta: Json,
    *,
    ending: str | None = None,
    is_piece: bool = False,
) -> Step:
    choice = {"index": index, "delta": delta, "finish_reason": ending}
    return _chunk(turn, {"choices": [choice]}, is_piece=is_piece)


def _chunk(turn: CompletedTurn, fields: Json, *, is_piece: bool = False) -> Step:
    head = _head(turn, "chat.completion.chunk")
    return Step(data=frame({**head, **fields}), is_piece=is_piece)
