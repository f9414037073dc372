"""Format chat completions, buffered and streamed."""

from collections.abc import Iterator

from local.provider_simulator.content.answers import split_text
from local.provider_simulator.endpoints.completion import CREATED, Completion
from local.provider_simulator.wire import DONE, Json, Step, frame


def body(completion: Completion) -> Json:
    """Return a buffered chat completion."""
    head = _head(completion, "chat.completion")
    choices = [_choice(completion, index) for index in range(completion.prompt.choices)]
    usage = {} if completion.switches["usage"] == "never" else {"usage": _usage(completion)}
    return {**head, "choices": choices, **usage, **completion.credit_fields(streamed=False)}


def steps(completion: Completion) -> list[Step]:
    """Return the frames of a streamed chat completion."""
    frames = [
        step
        for index in range(completion.prompt.choices)
        for step in _choice_steps(completion, index)
    ]
    credit_fields = completion.credit_fields(streamed=True)
    if _includes_usage(completion):
        last = {"choices": [], "usage": _usage(completion), **credit_fields}
        frames.append(_chunk(completion, last))
    elif credit_fields:
        frames.append(_chunk(completion, {"choices": [], **credit_fields}))
    if completion.switches["done"] != "off":
        frames.append(DONE)
    return frames


def _head(completion: Completion, kind: str) -> Json:
    identifier = completion.identifier("chatcmpl").replace("_", "-")
    return {"id": identifier, "object": kind, "created": CREATED, "model": completion.model}


def _choice(completion: Completion, index: int) -> Json:
    message: Json = {"role": "assistant", "content": completion.answer.text or None}
    message |= _reasoning(completion)
    if completion.answer.function and completion.prompt.legacy_function:
        message["function_call"] = _call(completion)
    elif completion.answer.function:
        identifier = completion.identifier("call", index)
        message["tool_calls"] = [
            {"id": identifier, "type": "function", "function": _call(completion)}
        ]
    return {"index": index, "message": message, "finish_reason": _finish_reason(completion)}


def _call(completion: Completion) -> Json:
    return {"name": completion.answer.function, "arguments": completion.answer.arguments}


def _reasoning(completion: Completion) -> Json:
    location = completion.switches["reasoning-field"]
    if not completion.answer.reasoning or location == "none":
        return {}
    names = ("reasoning", "reasoning_content") if location == "both" else (location,)
    return dict.fromkeys(names, completion.answer.reasoning)


def _finish_reason(completion: Completion) -> str:
    if completion.answer.function:
        return "function_call" if completion.prompt.legacy_function else "tool_calls"
    return "length" if completion.answer.is_truncated else "stop"


def _usage(completion: Completion) -> Json:
    return {
        "prompt_tokens": completion.answer.prompt_tokens,
        "completion_tokens": completion.answer.output_tokens,
        "total_tokens": completion.answer.total_tokens,
        "prompt_tokens_details": {"cached_tokens": 0},
    }


def _includes_usage(completion: Completion) -> bool:
    when = completion.switches["usage"]
    return when == "always" or (when == "asked" and completion.wants_usage)


def _choice_steps(completion: Completion, index: int) -> Iterator[Step]:
    yield _delta(completion, index, {"role": "assistant", "content": ""})
    if reasoning := _reasoning(completion):
        yield _delta(completion, index, reasoning)
    call = completion.answer.function
    opening = _fragment(completion, index, {"name": call, "arguments": ""}, is_first=True)
    if call:
        yield _delta(completion, index, opening)
    for piece in split_text(
        completion.answer.arguments or completion.answer.text, completion.switches.number("chunks")
    ):
        delta = _fragment(completion, index, {"arguments": piece}) if call else {"content": piece}
        yield _delta(completion, index, delta, is_piece=True)
    yield _delta(completion, index, {}, finish_reason=_finish_reason(completion))


def _fragment(
    completion: Completion, index: int, function: Json, *, is_first: bool = False
) -> Json:
    if completion.prompt.legacy_function:
        return {"function_call": function}
    start = {"id": completion.identifier("call", index), "type": "function"} if is_first else {}
    return {"tool_calls": [{"index": 0, **start, "function": function}]}


def _delta(
    completion: Completion,
    index: int,
    delta: Json,
    *,
    finish_reason: str | None = None,
    is_piece: bool = False,
) -> Step:
    choice = {"index": index, "delta": delta, "finish_reason": finish_reason}
    return _chunk(completion, {"choices": [choice]}, is_piece=is_piece)


def _chunk(completion: Completion, fields: Json, *, is_piece: bool = False) -> Step:
    head = _head(completion, "chat.completion.chunk")
    return Step(data=frame({**head, **fields}), is_piece=is_piece)
