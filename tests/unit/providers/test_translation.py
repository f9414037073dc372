"""Requests in the provider's dialect."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_relay.core.errors import BadRequest
from llm_relay.endpoints.chat import ChatCompletions
from llm_relay.endpoints.responses import Responses
from llm_relay.providers.dialects.dialect import ABLITERATION, DIALECTS, OPENAI, dialect_named
from llm_relay.providers.dialects.translation import Translation

MESSAGES = [{"role": "user", "content": "Hello"}]
CHAT: dict[str, Any] = {"model": "m", "messages": MESSAGES}
INPUT: dict[str, Any] = {"model": "m", "input": "Hello"}


def translated(body: dict[str, Any], dialect: Any = ABLITERATION) -> Translation:
    endpoint = Responses() if "input" in body and "messages" not in body else ChatCompletions()
    translation = Translation(dialect, json.dumps(body).encode(), body)
    endpoint.translate(translation)
    return translation


def is_unchanged(translation: Translation, body: dict[str, Any]) -> bool:
    return (translation.text, translation.dropped) == (json.dumps(body).encode(), ())


@pytest.mark.parametrize("dialect", DIALECTS.values())
@pytest.mark.parametrize("body", [CHAT | {"seed": 1, "temperature": 0.5}, INPUT | {"new": 1}])
def test_a_request_that_needs_no_translation_stays_byte_identical(body: Any, dialect: Any) -> None:
    assert is_unchanged(translated(body, dialect), body)


@pytest.mark.parametrize(
    ("given", "sent", "dropped"),
    [
        ({"max_completion_tokens": 5}, {"max_tokens": 5}, ()),
        ({"max_completion_tokens": 5, "max_tokens": 5}, {"max_tokens": 5}, ()),
        ({"max_completion_tokens": None}, {}, ()),
        ({"made_up": 1, "top_k": 2}, {}, ("made_up", "top_k")),
        (
            {"messages": [{"role": "developer", "content": "x"}, *MESSAGES]},
            {"messages": [{"role": "system", "content": "x"}, *MESSAGES]},
            (),
        ),
        (
            {"tools": [{"type": "function", "function": {"name": "f", "strict": True}}]},
            {"tools": [{"type": "function", "function": {"name": "f"}}]},
            ("tools[0].function.strict",),
        ),
    ],
)
def test_chat_is_translated_into_the_strict_dialect(given: Any, sent: Any, dropped: Any) -> None:
    result = translated(CHAT | given)
    assert json.loads(result.text) == CHAT | sent
    assert result.dropped == dropped


def test_openai_s_dialect_passes_chat_unchanged() -> None:
    tools = [{"type": "function", "function": {"name": "f", "strict": True}}]
    body = CHAT | {"max_completion_tokens": 5, "made_up": 1, "tools": tools}
    body["messages"] = [{"role": "developer", "content": "x"}]
    assert is_unchanged(translated(body, OPENAI), body)


def test_responses_accept_any_field_except_strict_and_developer() -> None:
    items = [{"role": "developer", "content": "x"}, {"type": "function_call_output"}]
    tools = [{"type": "function", "name": "f", "strict": True}, {"type": "web_search"}]
    result = translated({"model": "m", "input": items, "tools": tools, "new": 1})
    sent = json.loads(result.text)
    assert sent["input"] == [{"role": "system", "content": "x"}, items[1]]
    assert sent["tools"] == [{"type": "function", "name": "f"}, {"type": "web_search"}]
    assert sent["new"] == 1
    assert result.dropped == ("tools[0].strict",)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (CHAT | {"max_tokens": 5, "max_completion_tokens": 6}, "max_completion_tokens"),
        (CHAT | {"input": "x"}, "input"),
        (CHAT | {"tools": [{}], "web_search_options": {}}, "web_search_options"),
        (CHAT | {"max_output_tokens": 5}, "max_output_tokens"),
        (CHAT | {"previous_response_id": "resp_1"}, "previous_response_id"),
        (INPUT | {"background": True}, "background"),
        (INPUT | {"conversation": "c"}, "conversation"),
        (INPUT | {"input": [*MESSAGES, {"type": "item_reference", "id": "msg_1"}]}, "input[1]"),
        (INPUT | {"input": [{"id": "msg_1"}]}, "input[0]"),
        (INPUT | {"input": [{"id": "msg_1", "type": None}]}, "input[0]"),
    ],
)
def test_fields_that_change_the_meaning_are_refused_and_not_dropped(body: Any, param: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        translated(body)
    assert refusal.value.param == param


@pytest.mark.parametrize("dialect", DIALECTS.values())
@pytest.mark.parametrize("options", [None, {}, {"include_usage": False}, {"x": 1}])
def test_usage_is_always_requested_for_a_chat_stream(dialect: Any, options: Any) -> None:
    sent = json.loads(translated(CHAT | {"stream": True, "stream_options": options}, dialect).text)
    assert sent["stream_options"] == (options or {}) | {"include_usage": True}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
FIELDS = st.sampled_from(
    ["messages", "input", "tools", "stream", "stream_options", "max_tokens", "role", "strict",
     "max_completion_tokens", "type", "id", "function", "usage", "content", "temperature"]
)  # fmt: skip
FORMS = st.recursive(
    JSON | st.just("developer"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=4),
    max_leaves=8,
)


@pytest.mark.parametrize("dialect", DIALECTS.values())
@given(fields=st.dictionaries(FIELDS | st.text(max_size=5), FORMS, max_size=5))
@settings(deadline=None)
def test_any_request_is_translated_once_or_refused(dialect: Any, fields: dict[str, Any]) -> None:
    try:
        once = translated(fields | {"model": "m"}, dialect)
    except BadRequest:
        return
    sent = json.loads(once.text)
    untouched = {"temperature", "model"} - set(once.dropped)
    assert all(sent.get(name) == (fields | {"model": "m"}).get(name) for name in untouched)
    assert not set(once.dropped) & sent.keys()
    assert is_unchanged(translated(sent, dialect), sent)


def test_an_unknown_dialect_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match="abliteration, openai"):
        dialect_named("klingon", "https://h/v1")


@pytest.mark.parametrize(
    ("base_url", "dialect"),
    [
        ("https://api.abliteration.ai/v1", ABLITERATION),
        ("https://api.abliteration.ai", ABLITERATION),
        ("https://API.abliteration.ai:443/v1", ABLITERATION),
        ("https://api.abliteration.ai.example/v1", OPENAI),
        ("https://api.openai.com/v1", OPENAI),
        ("http://localhost:11434/v1", OPENAI),
    ],
)
def test_the_automatic_dialect_is_that_of_the_host(base_url: str, dialect: Any) -> None:
    assert dialect_named("auto", base_url) is dialect
