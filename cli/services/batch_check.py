"""Validates a file of requests locally, before anything is uploaded."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import click
import requests

from cli.aws.target_stack import Stack
from cli.output.batch_tables import show_errors, stderr_console
from cli.output.progress import bytes_bar
from cli.services.batch_estimate import Estimate, Listing, Prices, min_price
from llm_relay.batch.model.lines import Line, read_blocks, read_lines
from llm_relay.batch.model.row_check import BatchRow, ProviderRules, RowChecker
from llm_relay.batch.plan.file_check import check_file
from llm_relay.core.client import Client
from llm_relay.providers.dialects.dialect import DIALECTS, OPENAI

SHOWN = 20  # different errors
MODELS_TIMEOUT = 10  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedFile:
    """A valid file."""

    endpoint: str
    estimate: Estimate


def check_requests(
    path: Path, endpoint: str | None, client: Client, stack: Stack, listed: Mapping[str, Listing]
) -> CheckedFile:
    """Validate a file; show invalid lines and raise ClickException if there are any."""
    if not listed:  # budgets need prices; the stack checks again with its own
        client = replace(client, budget_nanos=None)
    rules = ProviderRules(
        dialect=DIALECTS.get(stack.parameter("ProviderDialect"), OPENAI),
        listed=listed.get if listed else None,
    )
    checker = RowChecker(endpoint, client=client, providers=[rules])
    estimate = Estimate(client.max_output_tokens)

    def see(line: Line, row: BatchRow) -> None:
        estimate.add(row.body, len(line.text))

    with path.open("rb") as file, bytes_bar("Checking", path.stat().st_size) as count:
        found = check_file(read_lines(count_bytes(read_blocks(file), count)), checker, on_row=see)
    if not found.rows:
        raise click.ClickException(f"{path} contains no requests: write one JSON object per line.")
    if found.error_count:
        show_errors(found.errors, found.error_count, stderr_console(), most=SHOWN)
        bad = f"{found.error_count:,} bad line{'s' if found.error_count > 1 else ''}"
        raise click.ClickException(f"{path} has {bad} of {found.rows:,}; nothing was submitted.")
    return CheckedFile(endpoint=str(checker.url), estimate=estimate)


def count_bytes(blocks: Iterable[bytes], count: Callable[[int], None]) -> Iterator[bytes]:
    """Yield the blocks and count their bytes."""
    for block in blocks:
        count(len(block))
        yield block


def token_prices(stack: Stack, price_in: float | None, price_out: float | None) -> Prices:
    """Return the token prices; UsageError if only one price is given."""
    if (price_in is None) != (price_out is None):
        raise click.UsageError("Pass both --price-in and --price-out, or neither.")
    return Prices(
        given=None if price_in is None or price_out is None else (price_in, price_out),
        listed=model_listing(stack),
        least=min_price(stack.parameter("ProviderDialect")),
    )


def model_listing(stack: Stack) -> dict[str, Listing]:
    """Return the models that a stack lists; empty if it cannot be asked."""
    if stack.door is None:
        return {}
    try:
        answer = requests.get(
            f"{stack.door.base_url}/models",
            headers={"Authorization": f"Bearer {stack.door.client_key}"},
            timeout=MODELS_TIMEOUT,
        )
        answer.raise_for_status()
        return {entry["id"]: entry for entry in answer.json()["data"]}
    except (requests.RequestException, ValueError, LookupError, TypeError):
        return {}  # without an estimate the batch can still run
