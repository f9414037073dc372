"""POST /v1/chat/completions: what is refused before it costs anything, and what is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from llm_relay.endpoints.chat import ChatCompletions
from llm_relay.providers.dialects.dialect import ABLITERATION
from tests.unit.validation.bodies import CHAT, SCHEMA, arbitrary, refusal, refused_properly, spoilt

QUESTION: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}
CALL: dict[str, Any] = {"id": "c", "type": "function", "function": {"name": "f", "arguments": ""}}
EVENTS = Path(__file__).parents[3] / "events" / "chat_completions"
REFUSED_EVENTS = {"messages_not_array", "not_json"}


def check(body: dict[str, Any]) -> None:
    """Check a body as a strict dialect has it checked."""
    endpoint = ChatCompletions()
    endpoint.check_basics(body)
    endpoint.check_details(body, ABLITERATION)


def bad(**fields: Any) -> dict[str, Any]:
    return QUESTION | fields


def turn(**fields: Any) -> dict[str, Any]:
    return bad(messages=[QUESTION["messages"][0], fields])


def called(**fields: Any) -> dict[str, Any]:
    return turn(role="assistant", tool_calls=[CALL | fields])


def schema(**fields: Any) -> dict[str, Any]:
    form = {"name": "city", "schema": SCHEMA} | fields
    return bad(response_format={"type": "json_schema", "json_schema": form})


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"messages": QUESTION["messages"]}, "model"),
        (bad(model=" "), "model"),
        (bad(messages={}), "messages"),
        (bad(messages=[]), "messages"),
        (bad(messages=["Hello"]), "messages[0]"),
        (turn(content="Hello"), "messages[1].role"),
        (turn(role="user"), "messages[1].content"),
        (turn(role="user", content=[]), "messages[1].content"),
        (turn(role="assistant", content=0), "messages[1].content"),
        (turn(role="user", content="Hello", name=7), "messages[1].name"),
        (turn(role="user", content=[{"type": "text"}]), "messages[1].content[0].text"),
        (turn(role="tool", content="sunny"), "messages[1].tool_call_id"),
        (turn(role="assistant", tool_calls={}), "messages[1].tool_calls"),
        (called(id=""), "messages[1].tool_calls[0].id"),
        (called(function=None), "messages[1].tool_calls[0].function"),
        (called(function={"arguments": "{}"}), "messages[1].tool_calls[0].function.name"),
        (
            called(function={"name": "f", "arguments": {}}),
            "messages[1].tool_calls[0].function.arguments",
        ),
        (turn(role="assistant", function_call="f"), "messages[1].function_call"),
        (bad(tools=[{}]), "tools[0].function"),
        (bad(response_format="json"), "response_format"),
        (bad(response_format={}), "response_format.type"),
        (bad(response_format={"type": "json"}), "response_format.type"),
        (bad(response_format={"type": ["text"]}), "response_format.type"),
        (bad(response_format={"type": "json_schema"}), "response_format.json_schema"),
        (schema(name="a city"), "response_format.json_schema.name"),
        (schema(schema=None), "response_format.json_schema.schema"),
        (schema(schema={"type": "dict"}), "response_format.json_schema.schema.type"),
        (schema(strict=1), "response_format.json_schema.strict"),
        (bad(stream=1), "stream"),
        (bad(stream_options={"include_usage": True}), "stream_options"),
        (bad(stream=True, stream_options=True), "stream_options"),
        (bad(stream=True, stream_options={"include_usage": 1}), "stream_options.include_usage"),
        (bad(temperature=2.1), "temperature"),
        (bad(temperature=float("inf")), "temperature"),
        (bad(top_p="1"), "top_p"),
        (bad(presence_penalty=3), "presence_penalty"),
        (bad(frequency_penalty=-3), "frequency_penalty"),
        (bad(n=129), "n"),
        (bad(n=1.0), "n"),
        (bad(max_tokens=0), "max_tokens"),
        (bad(seed=1.5), "seed"),
        (bad(seed=True), "seed"),
        (bad(stop=0), "stop"),
        (bad(stop=["a", None]), "stop"),
        (bad(logprobs=1), "logprobs"),
        (bad(logprobs=True, top_logprobs=21), "top_logprobs"),
        (bad(top_logprobs=5), "top_logprobs"),
        (bad(logit_bias=[]), "logit_bias"),
        (bad(logit_bias={"7": "1"}), "logit_bias.7"),
        (bad(user=7), "user"),
        (bad(metadata="a"), "metadata"),
        (bad(metadata={"team": 7}), "metadata.team"),
    ],
)
def test_a_fault_is_refused_at_its_path(body: dict[str, Any], param: str) -> None:
    assert refusal(check, body).param == param


@pytest.mark.parametrize(
    "body",
    [
        CHAT,
        QUESTION,
        QUESTION | dict.fromkeys(set(CHAT) - {"model", "messages"}),
        bad(a_field_of_tomorrow={"x": 1}, stop="", top_logprobs=0, tools=[], metadata={"a": None}),
        bad(response_format={"type": "json_object"}),
        bad(response_format={"type": "structural_tag", "structures": []}),
        turn(role="of_tomorrow", content="Hello"),
        turn(role="function", name="f", content=None),
        turn(role="assistant"),
        turn(role="assistant", content=[], tool_calls=[CALL]),
        turn(role="assistant", content="", tool_calls=None),
        turn(role="assistant", function_call={"name": "f", "arguments": "{}"}),
        called(type="custom", custom={"name": "f", "input": "x"}),
        turn(role="tool", tool_call_id="c", content=[{"type": "text", "text": "sunny"}]),
    ],
)
def test_requests_that_some_provider_supports_pass(body: dict[str, Any]) -> None:
    check(body)


@pytest.mark.parametrize("path", sorted(EVENTS.glob("*.json")), ids=lambda path: path.stem)
def test_valid_sample_events_pass(path: Path) -> None:
    text = json.loads(path.read_text())["body"]
    if path.stem not in REFUSED_EVENTS:
        check(json.loads(text))


@given(arbitrary(CHAT))
def test_no_body_breaks_the_checks(body: dict[str, Any]) -> None:
    refused_properly(check, body, {"model", "messages"})


@given(arbitrary(CHAT))
def test_no_field_beside_the_messages_breaks_the_checks(body: dict[str, Any]) -> None:
    refused_properly(check, body | QUESTION, set())


@given(spoilt(CHAT))
def test_no_change_to_a_good_body_breaks_the_checks(body: dict[str, Any]) -> None:
    refused_properly(check, body, {"model", "messages"})
