"""What a call used and cost, as the provider reports it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_TOO_MANY = 2**53  # no provider counts that far; beyond it, metrics lose digits


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens and US dollars of one call; None where the provider reports none."""

    tokens_in: int | None = None
    tokens_out: int | None = None
    tokens_cached: int | None = None  # of tokens_in, read from the provider's cache
    cost_usd: float | None = None


def usage_of(document: Mapping[str, Any]) -> Usage:
    """Read the usage of a buffered answer, or of the stream's event that carries it."""
    usage = document.get("usage")
    counts: Mapping[str, Any] = usage if isinstance(usage, dict) else {}
    details = counts.get("prompt_tokens_details") or counts.get("input_tokens_details")
    return Usage(
        tokens_cached=_count(details, "cached_tokens") if isinstance(details, dict) else None,
        tokens_in=_count(counts, "prompt_tokens", "input_tokens"),
        tokens_out=_count(counts, "completion_tokens", "output_tokens"),
        cost_usd=_cost(document.get("estimated_cost_usd")),
    )


def _count(counts: Mapping[str, Any], *names: str) -> int | None:
    values = (counts.get(name) for name in names)
    return next((value for value in values if type(value) is int and 0 <= value < _TOO_MANY), None)


def _cost(value: Any) -> float | None:
    return float(value) if type(value) in (int, float) and 0 <= value < _TOO_MANY else None
