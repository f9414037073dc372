"""Requests in which everything that is checked occurs, and ways to spoil them."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import strategies as st

from llm_relay.core.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Check = Callable[[dict[str, Any]], None]
    Path = tuple[str | int, ...]

PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGA"
    "WjR9awAAAABJRU5ErkJggg=="
)
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "city": {"type": ["string", "null"], "enum": ["Paris", None]},
        "near": {"anyOf": [{"$ref": "#/$defs/Place"}, {"const": None}]},
        "days": {"type": "array", "items": {"type": "integer"}},
    },
    "required": ["city"],
    "additionalProperties": False,
    "$defs": {"Place": {"type": "object", "properties": {"name": True}}},
}
FUNCTION: dict[str, Any] = {
    "name": "get_weather",
    "description": "Tells the weather of a city.",
    "parameters": SCHEMA,
    "strict": True,
}
CHAT: dict[str, Any] = {
    "model": "abliterated-model",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}},
                {"type": "video_url", "video_url": {"url": "https://example.com/a.mp4"}},
                {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
                {"type": "file", "file": {"file_data": "AAAA", "filename": "a.pdf"}},
                {"type": "hologram", "hologram": 7},
            ],
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": "call_1",
                    "type": "function",
                    "function": {"name": "get_weather", "arguments": '{"city":"Paris"}'},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
    ],
    "tools": [{"type": "function", "function": FUNCTION}, {"type": "of_tomorrow"}],
    "tool_choice": {"type": "function", "function": {"name": "get_weather"}},
    "functions": [{"name": "old"}],
    "function_call": {"name": "old"},
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "city", "schema": SCHEMA, "strict": True},
    },
    "stream": True,
    "stream_options": {"include_usage": True},
    "parallel_tool_calls": False,
    "temperature": 0.2,
    "top_p": 1,
    "presence_penalty": -2,
    "frequency_penalty": 2,
    "n": 1,
    "max_tokens": 9,
    "seed": -1,
    "stop": ["a", "b"],
    "logprobs": True,
    "top_logprobs": 3,
    "logit_bias": {"7": -1.5},
    "user": "u",
    "metadata": {"team": "blue"},
}
RESPONSES: dict[str, Any] = {
    "model": "abliterated-model",
    "instructions": "Be brief.",
    "input": [
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "What is this?"},
                {"type": "input_image", "image_url": PIXEL, "detail": "low"},
                {"type": "input_image", "file_id": "file_1"},
                {"type": "input_file", "file_url": "https://example.com/a.pdf"},
                {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
            ],
        },
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"type": "function_call", "call_id": "c", "name": "get_weather", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "sunny"},
        {
            "type": "function_call_output",
            "call_id": "c",
            "output": [{"type": "input_text", "text": ""}],
        },
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "Hi", "annotations": []}],
        },
        {"type": "message", "role": "assistant", "content": []},
        {"id": "msg_1"},
    ],
    "tools": [{"type": "function", **FUNCTION}, {"type": "web_search"}],
    "tool_choice": {"type": "function", "name": "get_weather"},
    "text": {"format": {"type": "json_schema", "name": "city", "schema": SCHEMA}},
    "stream": True,
    "stream_options": {},
    "temperature": 1,
    "top_p": 0.5,
    "top_logprobs": 0,
    "max_output_tokens": 9,
    "parallel_tool_calls": True,
    "user": "u",
    "metadata": {"team": "blue"},
}

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=60)
    | st.sampled_from(["function", "text", "image_url", "input_image", "json_schema", PIXEL]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(max_size=60) | st.sampled_from(["type", "name", "role", "content", "$ref"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


def arbitrary(valid: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Bodies that have the fields of a valid one, with anything in them."""
    return st.dictionaries(st.sampled_from(sorted(valid)) | st.text(), JSON, max_size=6)


def spoilt(valid: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """A valid body in which up to three things were replaced, wherever they are."""
    places = st.sampled_from(list(_paths(valid)))
    changes = st.lists(st.tuples(places, JSON), min_size=1, max_size=3)
    return changes.map(lambda chosen: reduce(lambda body, at: _replaced(body, *at), chosen, valid))


def refusal(check: Check, body: dict[str, Any]) -> BadRequest:
    """Return the refusal of a body, which must be one."""
    with pytest.raises(BadRequest) as caught:
        check(body)
    return caught.value


def refused_properly(check: Check, body: dict[str, Any], missing: set[str]) -> None:
    """Check a body; a refusal must be one that a caller can understand."""
    try:
        check(body)
    except BadRequest as error:
        assert 0 < len(error.message) < 400
        assert error.param
        field = error.param.split("[")[0].split(".")[0]
        assert field in body or field in missing


def _paths(value: Any, at: Path = ()) -> Iterator[Path]:
    if at:
        yield at
    for key, member in _members(value):
        yield from _paths(member, (*at, key))


def _members(value: Any) -> list[tuple[str | int, Any]]:
    if isinstance(value, dict):
        return list(value.items())
    return list(enumerate(value)) if isinstance(value, list) else []


def _replaced(value: Any, path: Path, new: Any) -> Any:
    if not path:
        return new
    key, *rest = path
    if key not in dict(_members(value)):
        return value
    copy: Any = dict(value) if isinstance(value, dict) else list(value)
    copy[key] = _replaced(value[key], tuple(rest), new)
    return copy
