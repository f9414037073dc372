"""The cost of a call, where the provider does not report it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llm_relay.core.usage import Usage


_MAX_USD_PER_TOKEN = 1_000_000  # a higher price is a mistake, and its cost could not be stored


def with_cost(usage: Usage, entry: Mapping[str, Any] | None) -> Usage:
    """Return the usage with its cost in US dollars, by the prices in the model's list entry."""
    pricing = (entry or {}).get("pricing")
    if usage.cost_usd is not None or not isinstance(pricing, dict):
        return usage
    prompt, completion = _usd_per_token(pricing, "prompt"), _usd_per_token(pricing, "completion")
    if prompt is None or completion is None or usage.tokens_in is None:
        return usage
    cached_price = _usd_per_token(pricing, "input_cache_read")
    cached = min(usage.tokens_cached or 0, usage.tokens_in) if cached_price is not None else 0
    cost = (usage.tokens_in - cached) * prompt + cached * (cached_price or 0.0)
    return replace(usage, cost_usd=cost + (usage.tokens_out or 0) * completion)


def _usd_per_token(pricing: Mapping[str, Any], name: str) -> float | None:
    try:
        price = float(pricing[name])  # listed as text
    except (KeyError, TypeError, ValueError):
        return None
    return price if 0 <= price <= _MAX_USD_PER_TOKEN else None
