"""Estimates the tokens and cost of a file of requests."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llm_relay.billing.estimate import listed_count, max_input_tokens
from llm_relay.billing.money import format_usd, nanos_from_usd
from llm_relay.billing.prices import with_cost
from llm_relay.core.usage import Usage
from llm_relay.providers.dialects.dialect import DIALECTS, OPENAI

BYTES_PER_TOKEN = 4  # English; fewer in other languages
CAPS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
PER_MILLION = 1_000_000
STEPS_PER_USD = 10_000

Listing = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """Token prices: given by the operator, or listed by the provider."""

    given: tuple[float, float] | None = None  # US dollars per million tokens, in and out
    listed: Mapping[str, Listing]  # entries of `GET /v1/models` by model
    least: float = 0.0  # US dollars per token, where bills exceed the listed price

    def cost(self, model: str, tokens_in: int, tokens_out: int) -> float | None:
        """Return the cost in US dollars, or None if unknown."""
        if self.given:
            return (tokens_in * self.given[0] + tokens_out * self.given[1]) / PER_MILLION
        used = Usage(tokens_in=tokens_in, tokens_out=tokens_out)
        listed = with_cost(used, self.listed.get(model)).cost_usd
        return None if listed is None else max(listed, (tokens_in + tokens_out) * self.least)


class Estimate:
    """Totals over a file's rows; `longest` is the client's cap on output tokens."""

    def __init__(self, longest: int | None = None) -> None:
        self._longest = longest
        self._models: dict[str, Counter[str]] = {}

    def add(self, body: dict[str, Any], length: int) -> None:
        """Add a validated request of `length` bytes."""
        sums = self._models.setdefault(str(body["model"]), Counter())
        answers = body.get("n") or 1
        caps = [body[name] for name in CAPS if body.get(name) is not None]
        cap = max(caps, default=self._longest)
        sums["rows"] += 1
        most = max_input_tokens(body, None)
        sums["in"] += min(length // BYTES_PER_TOKEN, most)  # images count less than their bytes
        sums["most in"] += most
        sums["out"] += answers * (cap or 0)
        sums["uncapped"] += 0 if cap else answers

    def facts(self, prices: Prices) -> dict[str, str]:
        """Return the estimate as table rows."""
        each = (f"{model} ({sums['rows']:,})" for model, sums in self._models.items())
        return {
            "Rows": f"{self._sum('rows'):,}",
            "Models": ", ".join(self._models if len(self._models) == 1 else each),
            "Input": f"about {self._sum('in'):,} tokens, at most {self._sum('most in'):,}",
            "Answers": self._answers(prices),
            "Cost": self._cost(prices),
        }

    def _sum(self, name: str) -> int:
        return sum(sums[name] for sums in self._models.values())

    def _answers(self, prices: Prices) -> str:
        longest = [self._out(model, prices) for model in self._models]
        if None not in longest:
            return f"at most {sum(filter(None, longest)):,} tokens"
        return "unknown: some rows have no limit such as 'max_tokens'"

    def _cost(self, prices: Prices) -> str:
        asked = [prices.cost(model, sums["in"], 0) for model, sums in self._models.items()]
        if None in asked:
            return "unknown: pass --price-in and --price-out"
        inputs = f"about {round_up_usd(sum(filter(None, asked)))} for the input"
        outputs = [(model, self._out(model, prices)) for model in self._models]
        if any(out is None for _, out in outputs):
            return f"{inputs}, unknown for the answers"
        answers = sum(prices.cost(model, 0, out or 0) or 0.0 for model, out in outputs)
        return f"{inputs}, at most {round_up_usd(answers)} for the answers"

    def _out(self, model: str, prices: Prices) -> int | None:
        """Return the maximum output tokens of a model's rows; None if unlimited."""
        sums = self._models[model]
        listed = listed_count(prices.listed.get(model), "max_output_length")
        if sums["uncapped"] and listed is None:
            return None
        return sums["out"] + sums["uncapped"] * (listed or 0)


def round_up_usd(usd: float) -> str:
    """Format US dollars, rounded up to 0.01 cent."""
    steps = math.ceil(round(usd * STEPS_PER_USD, 3))  # drops floating-point noise
    return format_usd(nanos_from_usd(steps / STEPS_PER_USD))


def min_price(dialect: str) -> float:
    """Return a provider's minimum price per token, in US dollars."""
    return DIALECTS.get(dialect, OPENAI).min_usd_per_token
