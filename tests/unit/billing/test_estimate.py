"""The maximum cost of a call."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_relay.billing.cost import IMAGE_TOKENS, max_cost_nanos, max_input_tokens

PRICED: dict[str, Any] = {"pricing": {"prompt": "0.000001", "completion": "0.000003"}}
BARE = max_input_tokens({}, None)
CONTEXT = 50_000


def chat(content: Any, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": content}]} | more


def image(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


@given(st.text())
def test_no_text_has_more_tokens_than_bytes(text: str) -> None:
    counted = max_input_tokens(chat(text), None) - max_input_tokens(chat(""), None)
    assert counted >= len(text.encode("utf-8", "surrogatepass"))


def test_text_is_counted_in_every_field() -> None:
    text = "a" * 1000
    schema = {"type": "object", "description": text}
    function = {"name": "f", "parameters": schema}
    for body in (
        chat([{"type": "text", "text": text}]),
        {"instructions": text, "input": "b"},
        {"input": [{"type": "function_call_output", "call_id": "c", "output": text}]},
        chat("b", tools=[{"type": "function", "function": function}]),
        chat("b", response_format={"type": "json_schema", "json_schema": {"schema": schema}}),
    ):
        assert 1000 < max_input_tokens(body, None) - BARE < 1200


def test_an_image_is_counted_independently_of_its_size() -> None:
    data = "data:image/png;base64," + base64.b64encode(bytes(300_000)).decode()
    for part in (image(data), image("https://a.example/b.png")):
        assert IMAGE_TOKENS < max_input_tokens(chat([part]), None) - BARE < IMAGE_TOKENS + 100
    flat = {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": data}]}]}
    assert max_input_tokens(flat, None) < BARE + IMAGE_TOKENS + 100


def test_text_that_resembles_image_data_is_counted_as_text() -> None:
    text = "data:" + "a" * 1000
    for body in (
        chat([{"type": "text", "text": text}]),
        chat([{"type": "text", "text": "b", "image_url": {"url": text}}]),
        chat("b", tools=[{"type": "function", "function": {"parameters": image(text)}}]),
    ):
        assert max_input_tokens(body, None) - BARE > 1000


@pytest.mark.parametrize(
    "body",
    [
        chat([{"type": "video_url", "video_url": {"url": "https://a.example/b"}}]),
        chat([{"type": "file", "file": {"file_id": "f"}}]),
        chat([{"type": "of tomorrow"}]),
        chat("a", web_search_options={}),
        {"input": [{"type": "item_reference", "id": "i"}]},
        {"input": "a", "previous_response_id": "r"},
        {"input": "a", "tools": [{"type": "web_search"}]},
    ],
)
def test_uncountable_input_is_assumed_to_fill_the_context(body: dict[str, Any]) -> None:
    assert max_input_tokens(body, CONTEXT) == CONTEXT
    assert max_input_tokens(body, None) > 1_000_000


def test_no_input_is_longer_than_the_context() -> None:
    assert max_input_tokens(chat("a" * 100_000), CONTEXT) == CONTEXT


def test_an_unrepresentable_context_length_is_ignored() -> None:
    body = {"previous_response_id": "r"}  # which may fill the context
    usual = max_cost_nanos(body, 1, PRICED, 0.0)
    assert max_cost_nanos(body, 1, PRICED | {"context_length": 10**309}, 0.0) == usual


@pytest.mark.parametrize(("least", "nanos"), [(0.0, 1000 + 3000), (5e-6, 5000 + 5000)])
def test_the_higher_of_the_listed_and_the_minimum_price_is_used(least: float, nanos: int) -> None:
    def worst(output_tokens: int, entry: dict[str, Any]) -> int:
        return max_cost_nanos({}, output_tokens, entry, least) or 0

    one_token_in = PRICED | {"context_length": 1}
    assert worst(1, one_token_in) == nanos


@pytest.mark.parametrize("entry", [None, {}, {"pricing": {"prompt": "?", "completion": "1"}}])
def test_without_a_price_there_is_no_maximum_cost(entry: dict[str, Any] | None) -> None:
    assert max_cost_nanos({}, 1, entry, 5e-6) is None
