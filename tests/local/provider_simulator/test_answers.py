"""The text, tools and usage of the simulator's whole answers."""

import json
from typing import Any

import pytest

from tests.local.provider_simulator.provider_caller import MODEL, ProviderCaller

WEATHER = {
    "name": "get_weather",
    "description": "The weather somewhere",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 2}},
    },
}
CLOCK = {"name": "get_time", "description": "The time", "parameters": {"type": "object"}}
TOOLS = [{"type": "function", "function": WEATHER}, {"type": "function", "function": CLOCK}]
FLAT_TOOLS = [{"type": "function", **WEATHER}, {"type": "function", **CLOCK}]
WEATHER_ARGUMENTS = {"city": "example", "days": 2}


def message(response: Any) -> Any:
    assert response.status_code == 200, response.text
    return response.json()["choices"][0]["message"]


def text(response: Any) -> Any:
    assert response.status_code == 200, response.text
    return response.json()["output"][0]["content"][0]["text"]


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [
        ("Reply with: payload verified.", "payload verified."),
        ("Respond with: AWS Lambda Python ready.", "AWS Lambda Python ready."),
        ("Please reply with:  zwei\nZeilen – ✓ ", "zwei\nZeilen – ✓"),
        ("hello over there", "Hello from the simulated provider. Words in your message: 3."),
    ],
)
def test_both_endpoints_give_a_prompt_the_same_answer(
    provider: ProviderCaller, prompt: str, answer: str
) -> None:
    assert message(provider.chat(say=prompt))["content"] == answer
    assert text(provider.responses(say=prompt)) == answer


def test_the_last_user_message_counts(provider: ProviderCaller) -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Reply with: first"},
        {"role": "assistant", "content": "first"},
        {"role": "user", "content": [{"type": "text", "text": "Reply with: second"}]},
    ]
    assert message(provider.chat(messages=messages))["content"] == "second"


def test_input_text_parts_are_read(provider: ProviderCaller) -> None:
    part = {"type": "input_text", "text": "Reply with: parts"}
    response = provider.responses(input=[{"role": "user", "content": [part]}])
    assert text(response) == "parts"


@pytest.mark.parametrize(
    ("choice", "name"),
    [
        (None, "get_weather"),
        ("required", "get_weather"),
        ({"type": "function", "function": {"name": "get_time"}}, "get_time"),
    ],
)
def test_chat_calls_the_forced_or_the_first_tool(
    provider: ProviderCaller, choice: Any, name: str
) -> None:
    response = provider.chat(tools=TOOLS, tool_choice=choice)
    (call,) = message(response)["tool_calls"]
    assert response.json()["choices"][0]["finish_reason"] == "tool_calls"
    assert message(response)["content"] is None
    assert call["function"]["name"] == name
    expected = WEATHER_ARGUMENTS if name == "get_weather" else {}
    assert json.loads(call["function"]["arguments"]) == expected


@pytest.mark.parametrize(
    ("choice", "name"),
    [("auto", "get_weather"), ({"type": "function", "name": "get_time"}, "get_time")],
)
def test_responses_calls_the_forced_or_the_first_tool(
    provider: ProviderCaller, choice: Any, name: str
) -> None:
    (item,) = provider.responses(tools=FLAT_TOOLS, tool_choice=choice).json()["output"]
    assert (item["type"], item["name"]) == ("function_call", name)
    assert item["call_id"]


def test_no_tool_is_called_when_the_choice_is_none_or_the_answer_is_given(
    provider: ProviderCaller,
) -> None:
    assert "tool_calls" not in message(provider.chat(tools=TOOLS, tool_choice="none"))
    reply = message(provider.chat(tools=TOOLS, say="Reply with: no tool"))
    assert reply["content"] == "no tool"


def test_a_tool_output_is_in_the_next_answer(provider: ProviderCaller) -> None:
    messages = [
        {"role": "user", "content": "weather?"},
        {"role": "assistant", "content": None, "tool_calls": []},
        {"role": "tool", "tool_call_id": "call_1", "content": "rain in Bern"},
    ]
    assert "rain in Bern" in message(provider.chat(messages=messages, tools=TOOLS))["content"]
    items = [{"type": "function_call_output", "call_id": "call_1", "output": "rain in Bern"}]
    assert "rain in Bern" in text(provider.responses(input=items, tools=FLAT_TOOLS))


def test_legacy_functions_give_a_function_call(provider: ProviderCaller) -> None:
    response = provider.chat(functions=[WEATHER, CLOCK], function_call={"name": "get_time"})
    assert message(response)["function_call"] == {"name": "get_time", "arguments": "{}"}
    assert response.json()["choices"][0]["finish_reason"] == "function_call"


def test_json_object_gives_json(provider: ProviderCaller) -> None:
    for prompt in ("hello", "Reply with: plain words"):
        response = provider.chat(say=prompt, response_format={"type": "json_object"})
        assert isinstance(json.loads(message(response)["content"]), dict)
    given = provider.chat(say='Reply with: {"a":1}', response_format={"type": "json_object"})
    assert message(given)["content"] == '{"a":1}'


def test_json_schema_gives_an_instance_of_it(provider: ProviderCaller) -> None:
    schema = {
        "type": "object",
        "properties": {
            "kind": {"enum": ["b", "a"]},
            "when": {"type": "string", "format": "date"},
            "maybe": {"anyOf": [{"type": "number"}, {"type": "null"}]},
            "tree": {"$ref": "#/$defs/leaf"},
            "many": {"type": "array", "items": {"type": "boolean"}, "minItems": 2},
        },
        "$defs": {"leaf": {"type": "object", "properties": {"n": {"const": 7}}}},
    }
    expected = {
        "kind": "b", "when": "2026-01-31", "maybe": 1.0, "tree": {"n": 7}, "many": [True, True]
    }  # fmt: skip
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    assert json.loads(message(provider.chat(response_format=form))["content"]) == expected
    flat = {"format": {"type": "json_schema", "name": "x", "schema": schema}}
    assert json.loads(text(provider.responses(text=flat))) == expected


def test_a_schema_that_refers_to_itself_ends(provider: ProviderCaller) -> None:
    schema = {"type": "object", "properties": {"next": {"$ref": "#"}}}
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    assert json.loads(message(provider.chat(response_format=form))["content"])["next"]


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://abliteration.ai/stonehenge.jpg", "an image: stonehenge.jpg."),
        ("https://x.org/a/b.png?size=2", "an image: b.png."),
        ("data:image/png;base64,aGVsbG8=", "an image: image/png, 5 bytes."),
    ],
)
def test_an_image_is_named(provider: ProviderCaller, url: str, name: str) -> None:
    parts: list[Any] = [
        {"type": "text", "text": "What's in this image?"},
        {"type": "image_url", "image_url": {"url": url}},
    ]
    chat = provider.chat(messages=[{"role": "user", "content": parts}])
    assert message(chat)["content"] == f"I see {name}"
    part = {"type": "input_image", "image_url": url}
    assert text(provider.responses(input=[{"role": "user", "content": [part]}])) == f"I see {name}"


def test_a_text_longer_than_the_limit_is_truncated(provider: ProviderCaller) -> None:
    chat = provider.chat(say="Reply with: one two three", max_tokens=2).json()
    assert chat["choices"][0]["message"]["content"] == "one two"
    assert chat["choices"][0]["finish_reason"] == "length"
    response = provider.responses(say="Reply with: one two three", max_output_tokens=2).json()
    assert response["status"] == "incomplete"
    assert response["incomplete_details"] == {"reason": "max_output_tokens"}
    whole = provider.chat(say="Reply with: one two three", max_tokens=3).json()
    assert whole["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize("stop", ["two", ["never", "two"]])
def test_a_text_ends_before_a_stop_word(provider: ProviderCaller, stop: Any) -> None:
    chat = provider.chat(say="Reply with: one two three", stop=stop).json()
    assert chat["choices"][0]["message"]["content"] == "one "
    assert chat["choices"][0]["finish_reason"] == "stop"


def test_n_gives_that_many_choices_and_bills_them(provider: ProviderCaller) -> None:
    body = provider.chat(say="Reply with: one two", n=3).json()
    assert [choice["index"] for choice in body["choices"]] == [0, 1, 2]
    assert body["usage"]["completion_tokens"] == 6


def test_reasoning_is_shown_unless_the_effort_is_none(provider: ProviderCaller) -> None:
    assert message(provider.chat())["reasoning"]
    assert "reasoning" not in message(provider.chat(reasoning_effort="none"))


def test_usage_and_credits_are_those_of_the_provider(provider: ProviderCaller) -> None:
    first = provider.chat(say="Reply with: one two").json()
    assert first["usage"] == {
        "prompt_tokens": 12,
        "completion_tokens": 2,
        "total_tokens": 14,
        "prompt_tokens_details": {"cached_tokens": 0},
    }
    assert first["estimated_cost_usd"] == 0.00007
    assert first["estimated_credits_used"] == 1
    second = provider.responses("words=1200").json()
    assert second["usage"] == {"input_tokens": 9, "output_tokens": 1200, "total_tokens": 1209}
    assert second["estimated_credits_used"] == 3
    assert second["remaining_credits"] == first["remaining_credits"] - 3


def test_a_large_answer_can_be_requested(provider: ProviderCaller) -> None:
    content = message(provider.chat("words=50000"))["content"]
    assert len(content.split()) == 50000


def test_switches_in_the_model_name_are_not_part_of_it(provider: ProviderCaller) -> None:
    response = provider.chat(model=f"{MODEL}@words=2;chunks=1")
    assert response.json()["model"] == MODEL
    assert message(response)["content"] == "word1 word2"


def test_the_header_overrides_the_model_name(provider: ProviderCaller) -> None:
    response = provider.chat("words=3", model=f"{MODEL}@words=2")
    assert message(response)["content"] == "word1 word2 word3"


def test_the_same_request_gets_the_same_answer(provider: ProviderCaller) -> None:
    first, second = provider.chat().json(), provider.chat().json()
    assert first["choices"] == second["choices"]
    assert first["id"] != second["id"]
