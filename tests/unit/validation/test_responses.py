"""POST /v1/responses: what is refused before it costs anything, and what is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from llm_relay.endpoints.responses import Responses
from llm_relay.providers.dialects.dialect import ABLITERATION
from tests.unit.validation.bodies import RESPONSES, arbitrary, refusal, refused_properly, spoilt

INPUT: dict[str, Any] = {"model": "m", "input": "Hello"}
EVENTS = Path(__file__).parents[3] / "events" / "responses"


def check(body: dict[str, Any]) -> None:
    """Check a body as a strict dialect has it checked."""
    endpoint = Responses()
    endpoint.check_basics(body)
    endpoint.check_details(body, ABLITERATION)


def bad(**fields: Any) -> dict[str, Any]:
    return INPUT | fields


def item(**fields: Any) -> dict[str, Any]:
    return bad(input=[fields])


def text_format(**fields: Any) -> dict[str, Any]:
    return bad(text={"format": {"type": "json_schema", "name": "a", "schema": {}} | fields})


CALL: dict[str, Any] = {"type": "function_call", "call_id": "c", "name": "f", "arguments": ""}
OUTPUT: dict[str, Any] = {"type": "function_call_output", "call_id": "c", "output": "x"}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"input": "Hello"}, "model"),
        ({"model": "m"}, "input"),
        (bad(input={}), "input"),
        (bad(input=["Hello"]), "input[0]"),
        (item(), "input[0].role"),
        (item(type=7), "input[0].type"),
        (item(type="message", content="Hello"), "input[0].role"),
        (item(role="user"), "input[0].content"),
        (item(role="user", content=[]), "input[0].content"),
        (item(role="user", content=[{"type": "input_text"}]), "input[0].content[0].text"),
        (item(**CALL | {"call_id": None}), "input[0].call_id"),
        (item(**CALL | {"name": ""}), "input[0].name"),
        (item(**CALL | {"arguments": {}}), "input[0].arguments"),
        (item(**OUTPUT | {"call_id": 7}), "input[0].call_id"),
        (item(**OUTPUT | {"output": {"sunny": True}}), "input[0].output"),
        (item(**OUTPUT | {"output": [{"type": "input_text"}]}), "input[0].output[0].text"),
        (bad(instructions=5), "instructions"),
        (bad(tools=[{}]), "tools[0].name"),
        (bad(text="json"), "text"),
        (bad(text={"format": "json"}), "text.format"),
        (text_format(type="json"), "text.format.type"),
        (text_format(name=None), "text.format.name"),
        (text_format(schema=[]), "text.format.schema"),
        (text_format(schema={"items": 7}), "text.format.schema.items"),
        (bad(stream="yes"), "stream"),
        (bad(stream_options={}), "stream_options"),
        (bad(temperature=-1), "temperature"),
        (bad(top_logprobs=21), "top_logprobs"),
        (bad(max_output_tokens="9"), "max_output_tokens"),
        (bad(metadata={"my team": 7}), "metadata['my team']"),
    ],
)
def test_a_fault_is_refused_at_its_path(body: dict[str, Any], param: str) -> None:
    assert refusal(check, body).param == param


@pytest.mark.parametrize(
    "body",
    [
        RESPONSES,
        INPUT,
        INPUT | dict.fromkeys(set(RESPONSES) - {"model", "input"}),
        {"model": "m", "previous_response_id": "resp_1"},
        {"model": "m", "conversation": "conv_1"},
        bad(instructions=[{"role": "system", "content": "Be brief."}], top_logprobs=5),
        bad(text={"format": None, "verbosity": "low"}),
        bad(text={}),
        item(type="of_tomorrow"),
        item(type="reasoning", content=None, summary=[]),
        item(role="assistant", content=None),
        item(**OUTPUT | {"output": []}),
    ],
)
def test_requests_that_some_provider_supports_pass(body: dict[str, Any]) -> None:
    check(body)


@pytest.mark.parametrize("path", sorted(EVENTS.glob("*.json")), ids=lambda path: path.stem)
def test_valid_sample_events_pass(path: Path) -> None:
    text = json.loads(path.read_text())["body"]
    if path.stem != "not_json":
        check(json.loads(text))


@given(arbitrary(RESPONSES))
def test_no_body_breaks_the_checks(body: dict[str, Any]) -> None:
    refused_properly(check, body, {"model", "input"})


@given(arbitrary(RESPONSES))
def test_no_field_beside_an_input_breaks_the_checks(body: dict[str, Any]) -> None:
    refused_properly(check, body | INPUT, set())


@given(spoilt(RESPONSES))
def test_no_change_to_a_good_body_breaks_the_checks(body: dict[str, Any]) -> None:
    refused_properly(check, body, {"model", "input"})
