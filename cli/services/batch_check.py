"""A file of requests, read here as the stack will read it, before anything is sent."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import click
import requests

from cli.aws.target_stack import Stack
from cli.output.batch_tables import aside, show_errors
from cli.output.progress import bytes_bar
from cli.services.batch_estimate import Estimate, Listing, Prices, least_price
from llm_relay.batch.model.lines import Line, read_blocks, read_lines
from llm_relay.batch.model.row_check import BatchRow, ProviderRules, RowChecker
from llm_relay.batch.plan.file_check import check_file
from llm_relay.core.client import Client
from llm_relay.providers.dialects.dialect import DIALECTS, OPENAI

SHOWN = 20  # different mistakes
PATIENCE = 10  # seconds for the list of models


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A file that every line of is right."""

    endpoint: str
    estimate: Estimate


def checked(
    path: Path, endpoint: str | None, client: Client, stack: Stack, listed: Mapping[str, Listing]
) -> Checked:
    """Reads a file once; a ClickException after its bad lines are shown, if there are any."""
    if not listed:  # budgets are reckoned in prices; the stack, which knows them, checks again
        client = replace(client, budget_nanos=None)
    terms = ProviderRules(
        dialect=DIALECTS.get(stack.parameter("ProviderDialect"), OPENAI),
        listed=listed.get if listed else None,
    )
    checker = RowChecker(endpoint, client=client, providers=[terms])
    estimate = Estimate(client.max_output_tokens)

    def see(line: Line, row: BatchRow) -> None:
        estimate.add(row.body, len(line.text))

    with path.open("rb") as file, bytes_bar("Checking", path.stat().st_size) as count:
        found = check_file(read_lines(counted(read_blocks(file), count)), checker, on_row=see)
    if not found.rows:
        raise click.ClickException(f"{path} holds no requests: write one JSON object per line.")
    if found.error_count:
        show_errors(found.errors, found.error_count, aside(), most=SHOWN)
        bad = f"{found.error_count:,} bad line{'s' if found.error_count > 1 else ''}"
        raise click.ClickException(f"{path} has {bad} of {found.rows:,}; nothing was submitted.")
    return Checked(endpoint=str(checker.url), estimate=estimate)


def counted(blocks: Iterable[bytes], count: Callable[[int], None]) -> Iterator[bytes]:
    """The blocks, counted as they go by."""
    for block in blocks:
        count(len(block))
        yield block


def prices_of(stack: Stack, price_in: float | None, price_out: float | None) -> Prices:
    """What tokens cost; a UsageError for half a price."""
    if (price_in is None) != (price_out is None):
        raise click.UsageError("--price-in and --price-out go together.")
    return Prices(
        said=None if price_in is None or price_out is None else (price_in, price_out),
        listed=listed_by(stack),
        least=least_price(stack.parameter("ProviderDialect")),
    )


def listed_by(stack: Stack) -> dict[str, Listing]:
    """What a stack lists of its models, if we have a key of it and it answers."""
    if stack.door is None:
        return {}
    try:
        answer = requests.get(
            f"{stack.door.base_url}/models",
            headers={"Authorization": f"Bearer {stack.door.client_key}"},
            timeout=PATIENCE,
        )
        answer.raise_for_status()
        return {entry["id"]: entry for entry in answer.json()["data"]}
    except (requests.RequestException, ValueError, LookupError, TypeError):
        return {}  # an estimate is worth less than the batch
