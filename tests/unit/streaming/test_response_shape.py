"""Whole answers of both endpoints, with every field that OpenAI's types require."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_relay.endpoints.chat import ChatCompletions
from llm_relay.endpoints.responses import Responses
from tests.unit.streaming.response_streams import HEAD, REST, USAGE, message
from tests.unit.streaming.sdk import client_that_gets

CHAT: Any = {"model": "m", "messages": []}
INPUT: Any = {"model": "m", "input": "x"}
COMPLETION: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": "Hello"},
        }
    ],
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
FIELDS = st.sampled_from(
    ["id", "created_at", "model", "status", "output", "usage", "choices", "type", "content",
     "input_tokens", "input_tokens_details", "message", "call_id", "arguments", "text", "summary"]
)  # fmt: skip
ANSWERS = st.recursive(
    st.dictionaries(FIELDS, JSON),
    lambda inner: st.dictionaries(FIELDS, inner | st.lists(inner, max_size=2)),
    max_leaves=5,
)


def item(given: Any) -> Any:
    """Return one output item after normalization."""
    (only,) = Responses().with_required_fields({"output": [given]}, INPUT)["output"]
    return only


def test_a_complete_response_is_unchanged() -> None:
    output = [message(0, "Hello")[-1]["item"]]
    response = HEAD | REST | {"status": "completed", "output": output, "usage": USAGE}
    assert Responses().with_required_fields(response, INPUT) == response


def test_a_complete_completion_is_unchanged() -> None:
    assert ChatCompletions().with_required_fields(COMPLETION, CHAT) == COMPLETION


@pytest.mark.parametrize(
    "usage",
    [
        {"input_tokens": 3, "output_tokens": 2},
        {"prompt_tokens": 3, "completion_tokens": 2, "input_tokens": None},
        {"input_tokens": 3, "output_tokens": 2, "input_tokens_details": [1]},
        {"input_tokens": 3, "output_tokens": 2, "output_tokens_details": None},
        {"input_tokens": 3, "output_tokens": 2, "total_tokens": "5"},
    ],
)
def test_usage_with_missing_fields_is_counted(usage: Any) -> None:
    counted = Responses().with_required_fields({"usage": usage}, INPUT)["usage"]
    assert {name: counted[name] for name in USAGE} == USAGE


@pytest.mark.parametrize("count", ["5", None, -1, True, [5]])
def test_an_invalid_count_counts_as_zero(count: Any) -> None:
    usage = Responses().with_required_fields({"usage": {"input_tokens": count}}, INPUT)["usage"]
    assert (usage["input_tokens"], usage["total_tokens"]) == (0, 0)


@pytest.mark.parametrize(
    ("content", "texts"),
    [("Hello", ["Hello"]), (7, []), (None, []), ([{"text": "Hello"}, 7], ["Hello"])],
)
def test_a_content_of_any_form_becomes_a_list_of_parts(content: Any, texts: Any) -> None:
    parts = item({"type": "message", "content": content})["content"]
    assert [part["text"] for part in parts] == texts
    assert all((part["type"], part["annotations"]) == ("output_text", []) for part in parts)


@pytest.mark.parametrize(
    ("given", "fields"),
    [
        ({"content": "x"}, {"type": "message", "role": "assistant", "status": "completed"}),
        ({"type": "message", "id": None, "role": None}, {"id": "item_0", "role": "assistant"}),
        (
            {"type": "function_call", "id": "fc_1", "call_id": None, "arguments": None},
            {"call_id": "fc_1", "arguments": "{}"},
        ),
        ({"type": "function_call", "arguments": {"a": 1}}, {"arguments": '{"a": 1}'}),
        ({"type": "reasoning", "summary": None}, {"id": "item_0", "summary": []}),
        ({"id": "rs_1"}, {"type": "reasoning"}),
        ({"type": "web_search_call", "id": "ws_1"}, {"id": "ws_1", "type": "web_search_call"}),
    ],
)
def test_an_item_gets_the_fields_that_its_kind_requires(given: Any, fields: Any) -> None:
    assert item(given).items() >= fields.items()


def test_nulls_of_a_response_are_filled() -> None:
    names = ["id", "created_at", "model", "status", "output", "tools", "text", "metadata"]
    whole = Responses().with_required_fields(dict.fromkeys(names), INPUT)
    assert whole["status"] == "completed"
    assert [name for name in names if whole[name] is None] == []


def test_nulls_of_a_completion_are_filled() -> None:
    choice = {"index": None, "finish_reason": None, "message": {"role": None, "content": "Hello"}}
    nulls: dict[str, Any] = dict.fromkeys(["id", "created", "model", "object"])
    whole = ChatCompletions().with_required_fields(nulls | {"choices": [choice, None]}, CHAT)
    assert whole["choices"] == COMPLETION["choices"]
    assert whole["object"] == "chat.completion"
    assert all(whole[name] for name in nulls)


@given(ANSWERS)
@settings(deadline=None)
def test_no_answer_breaks_the_relay_or_the_official_client(answer: Any) -> None:
    ChatCompletions().with_required_fields(answer, CHAT)
    body = json.dumps(Responses().with_required_fields(answer, INPUT)).encode()
    with client_that_gets(body, "application/json") as client:
        assert client.responses.create(model="m", input="x").output_text is not None
