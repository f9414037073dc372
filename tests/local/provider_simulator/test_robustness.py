"""The simulator answers any request body without failing."""

import json
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local.provider_simulator.call_handler import CallHandler
from local.provider_simulator.wire import parse_request

SCHEMA = {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "number"}}}}
FUNCTION = {"name": "f", "description": "d", "parameters": SCHEMA}
CHAT = {
    "model": "abliterated-model",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "assistant", "content": None, "tool_calls": []},
        {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "text", "text": "t"}]},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "hello"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
            ],
        },
    ],
    "tools": [{"type": "function", "function": FUNCTION}],
    "tool_choice": {"type": "function", "function": {"name": "f"}},
    "functions": [FUNCTION],
    "function_call": {"name": "f"},
    "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}},
    "stream": True,
    "stream_options": {"include_usage": True},
    "stop": ["x"],
    "n": 1,
    "max_tokens": 9,
    "temperature": 1,
    "reasoning_effort": "low",
}
RESPONSES = {
    "model": "abliterated-model",
    "instructions": "Be brief.",
    "input": [
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "x"},
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "hello"},
                {"type": "input_image", "image_url": "https://x.org/a.png"},
            ],
        },
    ],
    "tools": [{"type": "function", **FUNCTION}, {"type": "web_search"}],
    "tool_choice": {"type": "function", "name": "f"},
    "text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA}},
    "reasoning": {"effort": "low"},
    "max_output_tokens": 9,
    "stream": True,
}
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["type", "name", "role", "url"]), inner, max_size=2)
    ),
    max_leaves=4,
)


def places(value: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    keys = value.keys() if isinstance(value, dict) else range(len(value))
    found = [(*way, key) for key in keys]
    for key in keys:
        if isinstance(value[key], dict | list):
            found += places(value[key], (*way, key))
    return found


def changed(body: dict[str, Any], way: tuple[Any, ...], value: Any) -> dict[str, Any]:
    result = deepcopy(body)
    inner: Any = result
    for key in way[:-1]:
        inner = inner[key]
    inner[way[-1]] = value
    return result


@pytest.mark.parametrize(
    ("path", "body"), [("/v1/chat/completions", CHAT), ("/v1/responses", RESPONSES)]
)
@settings(deadline=None, derandomize=True)
@given(data=st.data())
def test_no_body_crashes_the_simulator(
    path: str, body: dict[str, Any], data: st.DataObject
) -> None:
    way = data.draw(st.sampled_from(places(body)))
    raw = json.dumps(changed(body, way, data.draw(ANYTHING))).encode()
    headers = {"authorization": "Bearer ak_test"}
    reply, _ = CallHandler(key="ak_test").reply(parse_request("POST", path, headers, raw))
    assert reply.status in (200, 400, 422)


def test_the_unmutated_bodies_are_valid() -> None:
    for path, body in (("/v1/chat/completions", CHAT), ("/v1/responses", RESPONSES)):
        raw = json.dumps(body).encode()
        headers = {"authorization": "Bearer ak_test"}
        reply, _ = CallHandler(key="ak_test").reply(parse_request("POST", path, headers, raw))
        assert reply.status == 200
