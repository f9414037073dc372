"""Output of `relay batch` for people."""

import sys
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from cli.output.tables import WIDTH, add_row, console, moment, table_of
from llm_relay.batch.model.names import ERRORS, OPERATOR, OUTPUT, results_key
from llm_relay.batch.model.record import Batch
from llm_relay.billing.money import format_usd

UNKNOWN = "unknown"
RESULTS = {OUTPUT: "output_file_id", ERRORS: "error_file_id"}
ERROR_FIELDS = ("code", "param", "message")
MAX_LINE_NUMBERS = 3  # listed per error


def stderr_console() -> Console:
    """Return a console on stderr; wide without a terminal."""
    return Console(stderr=True, width=None if sys.stderr.isatty() else WIDTH, highlight=False)


def show_batches(batches: list[Batch]) -> None:
    """Print a table of batches."""
    if not batches:
        click.echo("There are no batches. Submit one: relay batch submit FILE")
        return
    table = table_of("Batch", "Owner", "Status", "Rows", "Done", "Failed", "Cost", "Created")
    for column in table.columns[3:7]:
        column.justify = "right"
    for batch in batches:
        numbers = (batch.total, batch.completed, batch.failed)
        cells = [*(f"{number:,}" for number in numbers), cost(batch), moment(batch.created_at)]
        add_row(table, batch.id, batch.owner, batch.status, *map(str, cells))
    console().print(table)


def show_batch(batch: Batch, bucket: str) -> None:
    """Print all details of a batch, including its errors."""
    print_facts(
        {
            "Batch": batch.id,
            "Status": batch.status,
            "Owner": batch.owner,
            "Client": batch.client.id if batch.owner != OPERATOR else None,
            "Endpoint": batch.endpoint,
            "Rows": rows(batch),
            "Cost": cost(batch),
            "Tokens": tokens(batch),
            "Created": moment(batch.created_at),
            **{name: moment(when) for name, when in milestones(batch)},
            "Expires": None if batch.times.get("completed_at") else moment(batch.expires_at),
            "Metadata": ", ".join(f"{name}={value}" for name, value in metadata(batch)) or None,
            "Input": f"s3://{bucket}/{batch.input_key}",
            **result_locations(batch, bucket),
        }
    )
    if batch.errors:
        click.echo()
        show_errors(batch.errors, batch.error_count)


def show_errors(
    errors: Iterable[Mapping[str, Any]],
    count: int,
    output: Console | None = None,
    most: int | None = None,
) -> None:
    """Print a file's errors, each once, and the number of further lines.

    `count` is the number of invalid lines, `most` the maximum of different errors.
    """
    table, found = table_of("Lines", "Code", "Field", "What is wrong"), group_errors(errors)
    for mistake, lines in islice(found.items(), most):
        count -= len(lines)
        add_row(table, line_numbers(lines), *mistake)
    output = output or console()
    output.print(table)
    if count > 0:
        output.print(f"… and {count:,} more.")


def group_errors(errors: Iterable[Mapping[str, Any]]) -> dict[tuple[str, ...], list[str]]:
    """Return the line numbers of each error (code, field, message)."""
    found: dict[tuple[str, ...], list[str]] = {}
    for error in errors:
        line, *mistake = (str(error.get(name) or "") for name in ("line", *ERROR_FIELDS))
        found.setdefault(tuple(mistake), []).append(line)
    return found


def line_numbers(lines: list[str]) -> str:
    """Return the first line numbers and the number of others."""
    more = len(lines) - MAX_LINE_NUMBERS
    return ", ".join(lines[:MAX_LINE_NUMBERS]) + (f" and {more:,} more" if more > 0 else "")


def print_facts(facts: Mapping[str, str | None], output: Console | None = None) -> None:
    """Print a table of names and values, without None."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column()
    table.add_column(overflow="fold")
    for name, value in facts.items():
        if value is not None:
            add_row(table, name, value)
    (output or console()).print(table)


def rows(batch: Batch) -> str:
    """Return the number of rows by result."""
    return f"{batch.total:,}: {batch.completed:,} done, {batch.failed:,} failed"


def cost(batch: Batch) -> str:
    """Return a batch's cost, known at its end."""
    return UNKNOWN if batch.cost_nanos is None else format_usd(batch.cost_nanos)


def tokens(batch: Batch) -> str | None:
    """Return a batch's token usage, if known."""
    if not batch.usage:
        return None
    return f"{batch.usage['input_tokens']:,} in, {batch.usage['output_tokens']:,} out"


def milestones(batch: Batch) -> list[tuple[str, int]]:
    """Return a batch's status changes and times, in order."""
    times = sorted(batch.times.items(), key=lambda each: each[1])
    words = (name.removesuffix("_at").replace("_", " ").capitalize() for name, _ in times)
    return [(word, when) for word, (_, when) in zip(words, times, strict=True)]


def metadata(batch: Batch) -> list[tuple[str, str]]:
    """Return a batch's metadata."""
    return list((batch.metadata or {}).items())


def result_locations(batch: Batch, bucket: str) -> dict[str, str]:
    """Return the S3 URLs of existing result files."""
    return {
        kind.capitalize(): f"s3://{bucket}/{results_key(batch, kind)}"
        for kind, member in RESULTS.items()
        if getattr(batch, member)
    }
