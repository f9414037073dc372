"""What is checked for a dialect that leaves its provider to judge requests, and what is not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given

from llm_relay.billing.admission import admit
from llm_relay.core.client import Client
from llm_relay.core.errors import BadRequest
from llm_relay.core.json_codec import compact
from llm_relay.endpoints.chat import ChatCompletions
from llm_relay.endpoints.responses import Responses
from llm_relay.providers.dialects.dialect import ABLITERATION, OPENAI
from llm_relay.providers.dialects.translation import Translation
from llm_relay.validation import model_limits
from llm_relay.validation.fields import body_object
from tests.unit.validation.bodies import CHAT, RESPONSES, arbitrary, spoilt

if TYPE_CHECKING:
    from llm_relay.endpoints.endpoint import Endpoint

CHAT_BODY: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}
INPUT_BODY: dict[str, Any] = {"model": "m", "input": "Hello"}
SVG = "data:image/svg+xml;base64,AAAA"
ENTRY = {
    "context_length": 1000,
    "max_output_length": 100,
    "pricing": {"prompt": "0.000001", "completion": "0.000002"},
    "input_modalities": ["text", "image"],
    "sampling_limits": {"temperature": {"minimum": 0, "maximum": 5}},
}
BUDGET = Client(id="c", key_id="k", budget_nanos=10**12, max_output_tokens=10**9)

STRANGE: list[Any] = [7, -1, 1e308, 10**300, "x", "\ud800", True, {}, [], ["x"], [[]], {"type": []}]
FIELDS = {
    "messages": [[each] for each in STRANGE]
    + [[{"role": each, "content": each, "tool_calls": each}] for each in STRANGE]
    + [[{"role": "user", "content": [each]}] for each in STRANGE]
    + [[{"content": [{"type": "image_url", "image_url": each}]}] for each in STRANGE]
    + [[{"content": [{"type": "image_url", "image_url": {"url": [each]}}]}] for each in STRANGE],
    "input": [[each] for each in STRANGE]
    + [[{"type": each, "output": each, "role": each, "id": each}] for each in STRANGE]
    + [[{"type": "message", "content": [{"type": each}]}] for each in STRANGE],
    "tools": [*STRANGE, *[[each] for each in STRANGE], *[[{"type": each}] for each in STRANGE]]
    + [[{"function": each, "parameters": each, "name": each}] for each in STRANGE],
    **dict.fromkeys(
        (
            "stream_options", "tool_choice", "response_format", "text", "functions", "metadata",
            "temperature", "top_p", "stop", "seed", "instructions", "parallel_tool_calls", "prompt",
            "function_call", "logit_bias", "user", "top_logprobs", "usage", "output",
        ),
        STRANGE,
    ),
}  # fmt: skip


def send(endpoint: Endpoint, body: dict[str, Any]) -> bytes:
    """Take a body all the way to the provider and back, as one without a strict dialect has it."""
    endpoint.check_basics(body)
    endpoint.check_details(body, OPENAI)
    model_limits.applies_to(body)
    model_limits.check(body, ENTRY)
    for entry in (ENTRY, {"pricing": ENTRY["pricing"], "max_output_length": 100}):
        assert admit(BUDGET, endpoint.path, body, entry, OPENAI).max_cost_nanos > 0
    translation = Translation(OPENAI, compact(body), body)
    endpoint.translate(translation)
    for streamed in (b'data: {"id": "x"}\n\n', b"data: [DONE]\n\n"):
        endpoint.stream_normalizer(body, OPENAI).normalize(streamed)
    json.dumps(endpoint.with_required_fields({"choices": [{}], "output": [{}]}, body))
    return translation.text


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": [{"role": "narrator", "content": 7}]},
        {"messages": ["Hello"]},
        {"messages": [{"content": {"parts": []}}]},
        {"messages": [{"role": "assistant", "tool_calls": [{"id": 7}]}]},
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": 7}]}]},
        {"tools": {}},
        {"tools": ["web_search"]},
        {"tools": [{"type": "function", "function": {"name": "a b"}}]},
        {"tool_choice": "any"},
        {"response_format": {"type": "xml"}},
        {"stream_options": "all"},
        {"temperature": 9},
        {"top_logprobs": 100},
        {"stop": 7},
        {"seed": "x"},
        {"metadata": []},
    ],
)
def test_chats_that_a_strict_dialect_refuses_pass_unchanged_in_openai_s(
    fields: dict[str, Any],
) -> None:
    endpoint, body = ChatCompletions(), CHAT_BODY | fields
    endpoint.check_basics(body)
    with pytest.raises(BadRequest):
        endpoint.check_details(body, ABLITERATION)
    endpoint.check_details(body, OPENAI)
    translation = Translation(OPENAI, b"as it came", body)
    endpoint.translate(translation)
    assert translation.text == b"as it came"


@pytest.mark.parametrize(
    "fields",
    [
        {"input": ["Hello"]},
        {"input": [{"role": "narrator"}]},
        {"input": [{"type": "function_call", "arguments": {}}]},
        {"instructions": 7},
        {"tools": [{"type": "function"}]},
        {"text": {"format": {"type": "xml"}}},
        {"stream_options": {}},
    ],
)
def test_inputs_that_a_strict_dialect_refuses_pass_unchanged_in_openai_s(
    fields: dict[str, Any],
) -> None:
    endpoint, body = Responses(), INPUT_BODY | fields
    endpoint.check_basics(body)
    with pytest.raises(BadRequest):
        endpoint.check_details(body, ABLITERATION)
    assert json.loads(send(endpoint, body)) == body


@pytest.mark.parametrize(
    ("endpoint", "body", "param"),
    [
        (ChatCompletions(), {"messages": CHAT_BODY["messages"]}, "model"),
        (ChatCompletions(), {"model": "m"}, "messages"),
        (ChatCompletions(), CHAT_BODY | {"messages": "Hello"}, "messages"),
        (ChatCompletions(), CHAT_BODY | {"stream": "true"}, "stream"),
        (ChatCompletions(), CHAT_BODY | {"n": 129}, "n"),
        (ChatCompletions(), CHAT_BODY | {"n": 10**300}, "n"),
        (ChatCompletions(), CHAT_BODY | {"n": True}, "n"),
        (ChatCompletions(), CHAT_BODY | {"max_tokens": 1.5}, "max_tokens"),
        (ChatCompletions(), CHAT_BODY | {"max_completion_tokens": 0}, "max_completion_tokens"),
        (Responses(), {"input": "Hello"}, "model"),
        (Responses(), {"model": "m"}, "input"),
        (Responses(), INPUT_BODY | {"input": {"role": "user"}}, "input"),
        (Responses(), INPUT_BODY | {"stream": 1}, "stream"),
        (Responses(), INPUT_BODY | {"max_output_tokens": "9"}, "max_output_tokens"),
    ],
)
def test_fields_for_billing_and_streaming_are_checked_in_every_dialect(
    endpoint: Endpoint, body: dict[str, Any], param: str
) -> None:
    with pytest.raises(BadRequest) as refused:
        endpoint.check_basics(body)
    assert refused.value.param == param


@pytest.mark.parametrize(
    ("endpoint", "body", "param"),
    [
        (
            ChatCompletions(),
            {"messages": [{"content": [{"type": "image_url", "image_url": {"url": SVG}}]}]},
            "messages[0].content[0].image_url.url",
        ),
        (
            Responses(),
            {"input": [{"content": [{"type": "input_image", "image_url": SVG}]}]},
            "input[0].content[0].image_url",
        ),
        (
            Responses(),
            {"input": [{"output": [{"type": "input_image", "image_url": {"url": SVG}}]}]},
            "input[0].output[0].image_url.url",
        ),
        (
            ChatCompletions(),
            {"tools": [{"function": {"parameters": {"type": "str"}}}]},
            "tools[0].function.parameters.type",
        ),
        (
            ChatCompletions(),
            {"functions": [{"parameters": {"required": 7}}]},
            "functions[0].parameters.required",
        ),
        (
            Responses(),
            {"tools": [7, {"type": "function", "parameters": {"items": 7}}]},
            "tools[1].parameters.items",
        ),
    ],
)
def test_images_and_schemas_are_checked_in_every_dialect(
    endpoint: Endpoint, body: dict[str, Any], param: str
) -> None:
    with pytest.raises(BadRequest) as refused:
        endpoint.check_details(body, OPENAI)
    assert refused.value.param == param


@pytest.mark.parametrize("endpoint", [ChatCompletions(), Responses()])
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("name", FIELDS)
def test_no_unknown_field_breaks_the_code_after_the_checks(
    endpoint: Endpoint, streamed: bool, name: str
) -> None:
    valid = CHAT_BODY if isinstance(endpoint, ChatCompletions) else INPUT_BODY
    for value in FIELDS[name]:
        try:
            send(endpoint, valid | {"stream": streamed, name: value})
        except BadRequest as error:
            assert error.param
            assert error.param.startswith(name)


@given(body=arbitrary(CHAT) | spoilt(CHAT))
def test_no_chat_breaks_the_code_after_the_checks(body: dict[str, Any]) -> None:
    send_or_refuse(ChatCompletions(), CHAT_BODY | body)


@given(body=arbitrary(RESPONSES) | spoilt(RESPONSES))
def test_no_response_breaks_the_code_after_the_checks(body: dict[str, Any]) -> None:
    send_or_refuse(Responses(), INPUT_BODY | body)


def send_or_refuse(endpoint: Endpoint, body: dict[str, Any]) -> None:
    try:
        assert isinstance(body_object(send(endpoint, body)), dict)
    except BadRequest as error:
        assert error.message
