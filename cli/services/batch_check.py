"""Validates a file of requests locally, before anything is uploaded."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import click

from cli.output.batch_tables import show_errors
from cli.output.progress import bytes_bar
from cli.output.tables import counted
from cli.services.batch_estimate import Estimate, Prices
from llm_relay.batch.model.input_file import Line, read_blocks, read_lines
from llm_relay.batch.model.row_check import BatchRow, ProviderRules, RowChecker
from llm_relay.batch.plan.file_check import check_file
from llm_relay.core.client import Client

MAX_SHOWN = 20  # different errors


def check_requests(
    path: Path, endpoint: str | None, client: Client, prices: Prices
) -> tuple[str, Estimate]:
    """Validate a file; return its endpoint and estimate.

    Shows invalid lines, and raises ClickException if there are any.
    """
    if not prices.listed:  # budgets need prices; the stack checks again with its own
        client = replace(client, budget_nanos=None)
    listed = prices.listed.get if prices.listed else None
    rules = ProviderRules(dialect=prices.dialect, listed=listed)
    checker = RowChecker(endpoint, client=client, providers=[rules])
    estimate = Estimate(client.max_output_tokens)

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
    return str(checker.url), estimate


def _counted_blocks(blocks: Iterable[bytes], count: Callable[[int], None]) -> Iterator[bytes]:
    for block in blocks:
        count(len(block))
        yield block
