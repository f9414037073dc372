"""What a call cost, where the provider does not say so itself."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llm_relay.core.usage import Usage


# In US dollars for a token; more is a mistake, and what many cost could not be written down.
_DEAREST = 1_000_000


def with_cost(usage: Usage, entry: Mapping[str, Any] | None) -> Usage:
    """Return the usage with its cost in US dollars, at the price that the provider lists."""
    pricing = (entry or {}).get("pricing")
    if usage.cost_usd is not None or not isinstance(pricing, dict):
        return usage
    prompt, completion = _per_token(pricing.get("prompt")), _per_token(pricing.get("completion"))
    if prompt is None or completion is None or usage.tokens_in is None:
        return usage
    cached_price = _per_token(pricing.get("input_cache_read"))
    cached = min(usage.tokens_cached or 0, usage.tokens_in) if cached_price is not None else 0
    cost = (usage.tokens_in - cached) * prompt + cached * (cached_price or 0.0)
    return replace(usage, cost_usd=cost + (usage.tokens_out or 0) * completion)


def _per_token(price: Any) -> float | None:
    """Read a price, which comes as text; None if there is no sense in it."""
    try:
        number = float(price)
    except (TypeError, ValueError):
        return None
    return number if 0 <= number <= _DEAREST else None
