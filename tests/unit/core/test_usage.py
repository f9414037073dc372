"""Usage and cost as the provider tells them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_relay.core.usage import Usage, usage_of

JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@pytest.mark.parametrize(
    ("document", "usage"),
    [
        (
            {"usage": {"prompt_tokens": 1, "completion_tokens": 2}, "estimated_cost_usd": 0.5},
            Usage(tokens_in=1, tokens_out=2, cost_usd=0.5),
        ),
        ({"usage": {"input_tokens": 3, "output_tokens": 4}}, Usage(tokens_in=3, tokens_out=4)),
        ({"usage": None}, Usage()),
        ({"usage": {"prompt_tokens": "1", "completion_tokens": True}}, Usage()),
        ({"usage": {"prompt_tokens": -1}, "estimated_cost_usd": -1}, Usage()),
        ({}, Usage()),
    ],
)
def test_usage_is_read_in_the_format_of_either_endpoint(document: Any, usage: Usage) -> None:
    assert usage_of(document) == usage


@given(
    usage=JSON,
    cost=JSON,
    counts=st.dictionaries(st.sampled_from(["prompt_tokens", "output_tokens"]), JSON),
)
def test_reading_usage_accepts_any_answer(usage: Any, cost: Any, counts: Any) -> None:
    usage_of({"usage": usage, "estimated_cost_usd": cost})
    usage_of({"usage": counts})
