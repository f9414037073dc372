"""What the rows of a file ask for, and what that may cost."""

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

BYTES_PER_TOKEN = 4  # of English text; other languages have fewer
CAPS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
PER_MILLION = 1_000_000
STEPS_PER_USD = 10_000

Listing = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """What a token costs: as it was said, else as the provider lists it."""

    said: tuple[float, float] | None = None  # US dollars per million tokens, in and out
    listed: Mapping[str, Listing]  # what `GET /v1/models` says of each
    least: float = 0.0  # US dollars per token, where the list asks less than the bill

    def cost(self, model: str, tokens_in: int, tokens_out: int) -> float | None:
        """US dollars, or None if nobody knows."""
        if self.said:
            return (tokens_in * self.said[0] + tokens_out * self.said[1]) / PER_MILLION
        used = Usage(tokens_in=tokens_in, tokens_out=tokens_out)
        listed = with_cost(used, self.listed.get(model)).cost_usd
        return None if listed is None else max(listed, (tokens_in + tokens_out) * self.least)


class Estimate:
    """The sums over a file's rows; `longest` is the longest answer that its client may get."""

    def __init__(self, longest: int | None = None) -> None:
        self._longest = longest
        self._models: dict[str, Counter[str]] = {}

    def add(self, body: dict[str, Any], length: int) -> None:
        """Counts a request that has been checked, of so many bytes."""
        sums = self._models.setdefault(str(body["model"]), Counter())
        answers = body.get("n") or 1
        caps = [body[name] for name in CAPS if body.get(name) is not None]
        cap = max(caps, default=self._longest)
        sums["rows"] += 1
        most = max_input_tokens(body, None)
        sums["in"] += min(length // BYTES_PER_TOKEN, most)  # less than its bytes for an image
        sums["most in"] += most
        sums["out"] += answers * (cap or 0)
        sums["uncapped"] += 0 if cap else answers

    def facts(self, prices: Prices) -> dict[str, str]:
        """What to tell whoever has to agree to it."""
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
        return "unknown: there are rows without a limit, such as 'max_tokens'"

    def _cost(self, prices: Prices) -> str:
        asked = [prices.cost(model, sums["in"], 0) for model, sums in self._models.items()]
        if None in asked:
            return "unknown: say --price-in and --price-out to have it reckoned"
        inputs = f"about {money(sum(filter(None, asked)))} for the input"
        told = [(model, self._out(model, prices)) for model in self._models]
        if any(out is None for _, out in told):
            return f"{inputs}, unknown for the answers"
        answers = sum(prices.cost(model, 0, out or 0) or 0.0 for model, out in told)
        return f"{inputs}, at most {money(answers)} for the answers"

    def _out(self, model: str, prices: Prices) -> int | None:
        """The tokens of a model's answers at the most, or None if there is no limit."""
        sums = self._models[model]
        listed = listed_count(prices.listed.get(model), "max_output_length")
        if sums["uncapped"] and listed is None:
            return None
        return sums["out"] + sums["uncapped"] * (listed or 0)


def money(usd: float) -> str:
    """US dollars, to the hundredth of a cent above."""
    steps = math.ceil(round(usd * STEPS_PER_USD, 3))  # beyond that it is the noise of floats
    return format_usd(nanos_from_usd(steps / STEPS_PER_USD))


def least_price(dialect: str) -> float:
    """The least that a provider charges for a token, in US dollars."""
    return DIALECTS.get(dialect, OPENAI).min_usd_per_token
