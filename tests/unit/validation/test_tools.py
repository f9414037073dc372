"""Tools, and how a request wants them chosen."""

from __future__ import annotations

from typing import Any

import pytest

from llm_relay.validation import tools
from tests.unit.validation.bodies import FUNCTION, refusal

NESTED: dict[str, Any] = {"type": "function", "function": FUNCTION}
FLAT: dict[str, Any] = {"type": "function", **FUNCTION}
NAMED: dict[str, Any] = {"type": "function", "function": {"name": "get_weather"}}


def check_chat_tools(body: dict[str, Any]) -> None:
    tools.check_chat_tools(body)
    tools.check_tool_schemas(body)


def check_responses_tools(body: dict[str, Any]) -> None:
    tools.check_responses_tools(body)
    tools.check_tool_schemas(body)


def nested(**fields: Any) -> dict[str, Any]:
    return {"tools": [{"type": "function", "function": FUNCTION | fields}]}


def flat(**fields: Any) -> dict[str, Any]:
    return {"tools": [FLAT | fields]}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"tools": {}}, "tools"),
        ({"tools": "x"}, "tools"),
        ({"tools": ["x"]}, "tools[0]"),
        ({"tools": [{"type": 7}]}, "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": [FLAT]}, "tools[0].function"),
        (nested(name=None), "tools[0].function.name"),
        (nested(name="get weather"), "tools[0].function.name"),
        (nested(name="get_weather\n"), "tools[0].function.name"),
        (nested(name="x" * 65), "tools[0].function.name"),
        (nested(description=7), "tools[0].function.description"),
        (nested(strict="yes"), "tools[0].function.strict"),
        (nested(parameters="{}"), "tools[0].function.parameters"),
        (nested(parameters=True), "tools[0].function.parameters"),
        (
            nested(parameters={"properties": {"city": {"type": "str"}}}),
            "tools[0].function.parameters.properties.city.type",
        ),
        ({"tools": [NESTED, NESTED]}, "tools[1].function.name"),
        ({"tools": [NESTED], "parallel_tool_calls": 1}, "parallel_tool_calls"),
        ({"tools": [NESTED], "tool_choice": "any"}, "tool_choice"),
        ({"tools": [NESTED], "tool_choice": ["auto"]}, "tool_choice"),
        ({"tools": [NESTED], "tool_choice": {"type": 7}}, "tool_choice.type"),
        ({"tools": [NESTED], "tool_choice": {"type": "function"}}, "tool_choice.function"),
        (
            {"tools": [NESTED], "tool_choice": {"type": "function", "function": {}}},
            "tool_choice.function.name",
        ),
        (nested(name="other") | {"tool_choice": NAMED}, "tool_choice.function.name"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [], "tool_choice": NAMED}, "tool_choice"),
        ({"functions": [{"name": "a b"}]}, "functions[0].name"),
        ({"functions": [{"name": "a"}, {"name": "a"}]}, "functions[1].name"),
        ({"functions": [{"name": "a", "parameters": {"type": 7}}]}, "functions[0].parameters.type"),
        ({"functions": [{"name": "a"}], "function_call": "required"}, "function_call"),
        ({"functions": [{"name": "a"}], "function_call": {}}, "function_call.name"),
        ({"functions": [{"name": "a"}], "function_call": {"name": "b"}}, "function_call.name"),
        ({"function_call": {"name": "a"}}, "function_call"),
    ],
)
def test_faulty_tools_of_a_chat_are_refused_at_their_path(body: Any, param: str) -> None:
    assert refusal(check_chat_tools, body).param == param


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"tools": [{}]}, "tools[0].name"),
        ({"tools": [NESTED]}, "tools[0].name"),
        (flat(name="a.b"), "tools[0].name"),
        (flat(parameters={"required": {}}), "tools[0].parameters.required"),
        ({"tools": [FLAT, {"type": "web_search"}, FLAT]}, "tools[2].name"),
        (flat() | {"tool_choice": {"type": "function", "name": "other"}}, "tool_choice.name"),
        (flat() | {"tool_choice": NAMED}, "tool_choice.name"),
        ({"tool_choice": {"type": "web_search"}}, "tool_choice"),
        ({"tool_choice": "required", "input": "Hello"}, "tool_choice"),
    ],
)
def test_faulty_tools_of_a_response_are_refused_at_their_path(body: Any, param: str) -> None:
    assert refusal(check_responses_tools, body).param == param


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"tools": None, "tool_choice": None, "functions": None, "function_call": None},
        {"tools": [], "tool_choice": "auto", "web_search_options": {}},
        {"tool_choice": "none", "function_call": "none"},
        {"tools": [NESTED], "tool_choice": "required", "web_search_options": None},
        {"tools": [NESTED], "tool_choice": NAMED},
        {"tools": [{"function": FUNCTION}]},
        {"tools": [{"type": "function", "function": {"name": "a"}}]},
        nested(description=None, parameters=None, strict=None),
        nested(name="x" * 64, parameters={}),
        {"tools": [{"type": "custom", "custom": 7}], "tool_choice": {"type": "custom"}},
        {"tools": [NESTED], "tool_choice": {"type": "allowed_tools", "allowed_tools": {}}},
        {"functions": [{"name": "a"}], "function_call": {"name": "a"}},
    ],
)
def test_tools_of_a_chat_that_a_provider_can_take_pass(body: dict[str, Any]) -> None:
    check_chat_tools(body)


@pytest.mark.parametrize(
    "body",
    [
        flat() | {"tool_choice": {"type": "function", "name": "get_weather"}},
        {"tools": [{"type": "web_search"}], "tool_choice": {"type": "web_search"}},
        {"tools": [{"type": "namespace"}], "tool_choice": {"type": "function", "name": "inner"}},
        {"prompt": {"id": "p"}, "tool_choice": {"type": "function", "name": "of_the_prompt"}},
        {"input": [{"type": "additional_tools", "tools": [FLAT]}], "tool_choice": "required"},
    ],
)
def test_tools_of_a_response_that_a_provider_can_take_pass(body: dict[str, Any]) -> None:
    check_responses_tools(body)


def test_the_error_for_a_choice_of_no_tool_lists_the_tools() -> None:
    body = nested(name="other") | {"tool_choice": NAMED}
    message = refusal(check_chat_tools, body).message
    assert message.endswith("'get_weather', which is none of the tools: other.")


def test_the_error_for_a_choice_among_many_tools_lists_some() -> None:
    many = [{"type": "function", "name": f"tool_{number}"} for number in range(500)]
    body = {"tools": many, "tool_choice": {"type": "function", "name": "none_of_them"}}
    assert len(refusal(check_responses_tools, body).message) < 400
