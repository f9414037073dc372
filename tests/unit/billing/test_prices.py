"""Costs at the provider's listed price."""

from __future__ import annotations

from typing import Any

import pytest

from llm_relay.billing.cost import with_cost
from llm_relay.core.usage import Usage

PRICING = {"prompt": "0.000001", "completion": "0.000003", "input_cache_read": "0.0000001"}
USED = Usage(tokens_in=1000, tokens_out=100)


@pytest.mark.parametrize(
    ("usage", "cost"),
    [
        (USED, 0.0013),
        (Usage(tokens_in=1000, tokens_out=100, tokens_cached=900), 0.00049),
        (Usage(tokens_in=1000, tokens_out=100, tokens_cached=9999), 0.0004),
        (Usage(tokens_in=1000), 0.001),
        (Usage(tokens_in=1000, cost_usd=0.5), 0.5),
    ],
)
def test_a_call_costs_its_tokens_at_the_listed_price(usage: Usage, cost: float) -> None:
    assert with_cost(usage, {"pricing": PRICING}).cost_usd == pytest.approx(cost)


@pytest.mark.parametrize(
    "entry",
    [
        None,
        {},
        {"pricing": None},
        {"pricing": {"prompt": "free", "completion": "0"}},
        {"pricing": {"prompt": "nan", "completion": "0"}},
        {"pricing": {"prompt": "-1", "completion": "0"}},
        {"pricing": {"prompt": "1e300", "completion": "0"}},
        {"pricing": {"prompt": [], "completion": {}}},
    ],
)
def test_without_a_price_the_cost_stays_unknown(entry: Any) -> None:
    assert with_cost(USED, entry).cost_usd is None
