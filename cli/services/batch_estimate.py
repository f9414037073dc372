"""Estimates the tokens and cost of a file of requests."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import click
import requests

from cli.aws.target_stack import Stack
from llm_relay.billing.cost import listed_count, max_input_tokens, with_cost
from llm_relay.billing.money import format_usd, nanos_from_usd
from llm_relay.core.usage import Usage
from llm_relay.providers.dialects.dialect import DIALECTS, OPENAI, Dialect

BYTES_PER_TOKEN = 4  # English; fewer in other languages
CAPS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
PER_MILLION = 1_000_000
STEPS_PER_USD = 10_000
MODELS_TIMEOUT = 10  # seconds

Listing = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """Token prices: set by the operator, or listed by the provider."""

    per_million: tuple[float, float] | None  # US dollars, in and out
    listed: Mapping[str, Listing]  # entries of `GET /v1/models` by model
    dialect: Dialect  # knows the minimum price, where bills exceed the listed one

    def cost(self, model: str, tokens_in: int, tokens_out: int) -> float | None:
        """Return the cost in US dollars, or None if unknown."""
        if self.per_million:
            price_in, price_out = self.per_million
            return (tokens_in * price_in + tokens_out * price_out) / PER_MILLION
        usage = Usage(tokens_in=tokens_in, tokens_out=tokens_out)
        listed = with_cost(usage, self.listed.get(model)).cost_usd
        minimum = (tokens_in + tokens_out) * self.dialect.min_usd_per_token
        return None if listed is None else max(listed, minimum)


def token_prices(stack: Stack, price_in: float | None, price_out: float | None) -> Prices:
    """Return the token prices; UsageError if only one price is set."""
    if (price_in is None) != (price_out is None):
        raise click.UsageError("Pass both --price-in and --price-out, or neither.")
    return Prices(
        per_million=None if price_in is None or price_out is None else (price_in, price_out),
        listed=_model_listing(stack),
        dialect=DIALECTS.get(stack.parameter("ProviderDialect"), OPENAI),
    )


def _model_listing(stack: Stack) -> dict[str, Listing]:
    """Return the models that a stack lists; empty if it cannot be asked."""
    if stack.client_key is None:
        return {}
    headers = {"Authorization": f"Bearer {stack.client_key}"}
    try:
        answer = requests.get(f"{stack.base_url}/models", headers=headers, timeout=MODELS_TIMEOUT)
        answer.raise_for_status()
        return {entry["id"]: entry for entry in answer.json()["data"]}
    except (requests.RequestException, ValueError, LookupError, TypeError):
        return {}  # without an estimate the batch can still run


class Estimate:
    """Totals over a file's rows; `max_output_tokens` is the client's limit."""

    def __init__(self, max_output_tokens: int | None) -> None:
        self._max_output_tokens = max_output_tokens
        self._models: dict[str, Counter[str]] = {}

    def add(self, body: dict[str, Any], length: int) -> None:
        """Add a validated request of `length` bytes."""
        sums = self._models.setdefault(str(body["model"]), Counter())
        answers = body.get("n") or 1
        caps = [body[name] for name in CAPS if body.get(name) is not None]
        cap = max(caps, default=self._max_output_tokens)
        max_in = max_input_tokens(body, None)
        sums["rows"] += 1
        sums["in"] += min(length // BYTES_PER_TOKEN, max_in)  # images count less than their bytes
        sums["max in"] += max_in
        sums["out"] += answers * (cap or 0)
        sums["uncapped"] += 0 if cap else answers

    def facts(self, prices: Prices) -> dict[str, str | None]:
        """Return the estimate as table rows."""
        models = [f"{model} ({sums['rows']:,})" for model, sums in self._models.items()]
        total = sum(self._models.values(), Counter[str]())
        return {
            "Rows": f"{total['rows']:,}",
            "Models": ", ".join(self._models if len(models) == 1 else models),
            "Input": f"about {total['in']:,} tokens, at most {total['max in']:,}",
            "Answers": self._answers(prices),
            "Cost": self._cost(prices),
        }

    def _answers(self, prices: Prices) -> str:
        maxima = [self._max_out(model, prices) for model in self._models]
        if None in maxima:
            return "unknown: some rows have no limit such as 'max_tokens'"
        return f"at most {sum(filter(None, maxima)):,} tokens"

    def _cost(self, prices: Prices) -> str:
        costs = [prices.cost(model, sums["in"], 0) for model, sums in self._models.items()]
        if None in costs:
            return "unknown: pass --price-in and --price-out"
        inputs = f"about {_round_up_usd(sum(filter(None, costs)))} for the input"
        maxima = {model: self._max_out(model, prices) for model in self._models}
        if None in maxima.values():
            return f"{inputs}, unknown for the answers"
        answers = sum(prices.cost(model, 0, out or 0) or 0.0 for model, out in maxima.items())
        return f"{inputs}, at most {_round_up_usd(answers)} for the answers"

    def _max_out(self, model: str, prices: Prices) -> int | None:
        """Return the maximum output tokens of a model's rows; None if unlimited."""
        sums = self._models[model]
        listed = listed_count(prices.listed.get(model), "max_output_length")
        if sums["uncapped"] and listed is None:
            return None
        return sums["out"] + sums["uncapped"] * (listed or 0)


def _round_up_usd(usd: float) -> str:
    """Format US dollars, rounded up to 0.01 cent."""
    steps = math.ceil(round(usd * STEPS_PER_USD, 3))  # drops floating-point noise
    return format_usd(nanos_from_usd(steps / STEPS_PER_USD))
