"""Validates a file of requests locally, and estimates its tokens and cost."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import requests

from cli.aws.target_stack import Stack
from cli.output.batch_tables import show_errors
from cli.output.progress import bytes_bar
from cli.output.tables import counted
from llm_relay.batch.model.input_file import Line, read_blocks, read_lines
from llm_relay.batch.model.row_check import BatchRow, ProviderRules, RowChecker
from llm_relay.batch.plan.file_check import check_file
from llm_relay.billing.cost import listed_count, max_input_tokens, with_cost
from llm_relay.billing.money import format_usd, nanos_from_usd
from llm_relay.core.client import Client
from llm_relay.core.usage import Usage
from llm_relay.providers.dialects.dialect import Dialect

MAX_SHOWN = 20  # different errors
BYTES_PER_TOKEN = 4  # English; fewer in other languages
TYPICAL_ANSWER = 500  # tokens, where the row's limit is not lower
CAPS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
PER_MILLION = 1_000_000
STEPS_PER_USD = 10_000
MODELS_TIMEOUT = 10  # seconds

Listing = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """Token prices: set by the operator, or listed by the provider."""

    usd_in: float | None  # per million tokens, set by the operator
    usd_out: float | None
    listed: Mapping[str, Listing]  # entries of `GET /v1/models` by model
    dialect: Dialect  # knows the minimum price, where bills exceed the listed one

    def cost(self, model: str, tokens_in: int, tokens_out: int) -> float | None:
        """Return the cost in US dollars, or None if unknown."""
        if self.usd_in is not None and self.usd_out is not None:
            return (tokens_in * self.usd_in + tokens_out * self.usd_out) / PER_MILLION
        usage = Usage(tokens_in=tokens_in, tokens_out=tokens_out)
        listed = with_cost(usage, self.listed.get(model)).cost_usd
        minimum = (tokens_in + tokens_out) * self.dialect.min_usd_per_token
        return None if listed is None else max(listed, minimum)


def token_prices(stack: Stack, price_in: float | None, price_out: float | None) -> Prices:
    """Return the token prices; UsageError if only one price is set."""
    if (price_in is None) != (price_out is None):
        raise click.UsageError("Pass both --price-in and --price-out, or neither.")
    return Prices(
        usd_in=price_in,
        usd_out=price_out,
        listed=_model_listing(stack),
        dialect=stack.dialect,
    )


def _model_listing(stack: Stack) -> dict[str, Listing]:
    """Return the models that a stack lists; empty if it is unavailable."""
    if stack.client_key is None:
        return {}
    headers = {"Authorization": f"Bearer {stack.client_key}"}
    try:
        answer = requests.get(f"{stack.base_url}/models", headers=headers, timeout=MODELS_TIMEOUT)
        answer.raise_for_status()
        return {entry["id"]: entry for entry in answer.json()["data"]}
    except (requests.RequestException, ValueError, LookupError, TypeError):
        return {}  # without an estimate the batch can still run


def check_requests(
    path: Path, endpoint: str | None, client: Client, prices: Prices
) -> tuple[str, dict[str, str]]:
    """Return a file's endpoint and estimate; ClickException if it has invalid lines."""
    if not prices.listed:  # budgets need prices; the stack checks again with its own
        client = replace(client, budget_nanos=None)
    listed = prices.listed.get if prices.listed else None
    rules = ProviderRules(dialect=prices.dialect, listed=listed)
    checker = RowChecker(endpoint, client=client, providers=[rules])
    estimate = _Estimate(client.max_output_tokens, prices)

    def on_row(line: Line, row: BatchRow) -> None:
        estimate.add(row.body, len(line.text))

    with path.open("rb") as file, bytes_bar("Checking", path.stat().st_size) as count:
        lines = read_lines(_counted_blocks(read_blocks(file), count))
        checked = check_file(lines, checker, on_row=on_row)
    if not checked.rows:
        raise click.ClickException(f"{path} contains no requests: write one JSON object per line.")
    if checked.error_count:
        show_errors(checked.errors, checked.error_count, max_shown=MAX_SHOWN, stderr=True)
        bad = counted(checked.error_count, "bad line")
        raise click.ClickException(f"{path} has {bad} of {checked.rows:,}; nothing was submitted.")
    return str(checker.url), estimate.facts()


def _counted_blocks(blocks: Iterable[bytes], count: Callable[[int], None]) -> Iterator[bytes]:
    for block in blocks:
        count(len(block))
        yield block


class _Estimate:
    """Totals over a file's rows by model; `max_output_tokens` is the client's limit."""

    def __init__(self, max_output_tokens: int | None, prices: Prices) -> None:
        self._max_output_tokens, self._prices = max_output_tokens, prices
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
        sums["answers"] += answers
        sums["typical out"] += answers * min(cap or TYPICAL_ANSWER, TYPICAL_ANSWER)
        sums["out"] += answers * (cap or 0)
        sums["uncapped"] += 0 if cap else answers

    def facts(self) -> dict[str, str]:
        """Return the estimate as table rows."""
        models = [f"{model} ({sums['rows']:,})" for model, sums in self._models.items()]
        total = sum(self._models.values(), Counter[str]())
        return {
            "Rows": f"{total['rows']:,}",
            "Models": ", ".join(self._models if len(models) == 1 else models),
            "Input": f"about {total['in']:,} tokens, at most {total['max in']:,}",
            "Answers": self._answers(),
            "Cost": self._cost(total["answers"]),
        }

    def _answers(self) -> str:
        typical = f"about {sum(map(self._typical_out, self._models)):,} tokens"
        limits = [self._max_out(model) for model in self._models]
        if None in limits:
            return f"{typical}; some rows have no limit such as 'max_tokens'"
        return f"{typical}, at most {sum(filter(None, limits)):,}"

    def _typical_out(self, model: str) -> int:
        """Return the output tokens of a model's rows if answers have a typical length."""
        typical, limit = self._models[model]["typical out"], self._max_out(model)
        return typical if limit is None else min(typical, limit)

    def _max_out(self, model: str) -> int | None:
        """Return the maximum output tokens of a model's rows; None if unlimited."""
        sums = self._models[model]
        listed = listed_count(self._prices.listed.get(model), "max_output_length")
        if sums["uncapped"] and listed is None:
            return None
        return sums["out"] + sums["uncapped"] * (listed or 0)

    def _cost(self, answers: int) -> str:
        typical, worst = self._usd("in", self._typical_out), self._usd("max in", self._max_out)
        if typical is None:
            return "unknown: pass --price-in and --price-out"
        tokens = round(sum(map(self._typical_out, self._models)) / answers)
        basis = f"if answers have {counted(tokens, 'token')} on average"
        at_most = "unknown" if worst is None else _round_up_usd(worst)
        return f"typical: about {_round_up_usd(typical)}, {basis}; worst case: {at_most}"

    def _usd(self, tokens_in: str, tokens_out: Callable[[str], int | None]) -> float | None:
        """Return the cost of all rows; None if a price or a number of tokens is unknown."""
        total = 0.0
        for model, sums in self._models.items():
            out = tokens_out(model)
            cost = None if out is None else self._prices.cost(model, sums[tokens_in], out)
            if cost is None:
                return None
            total += cost
        return total


def _round_up_usd(usd: float) -> str:
    """Format US dollars, rounded up to 0.01 cent."""
    steps = math.ceil(round(usd * STEPS_PER_USD, 3))  # drops floating-point noise
    return format_usd(nanos_from_usd(steps / STEPS_PER_USD))
