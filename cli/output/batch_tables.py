"""What `relay batch` prints for people."""

import sys
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from cli.output.tables import WIDTH, add_row, moment, screen, table_of
from llm_relay.batch.model.names import ERRORS, OPERATOR, OUTPUT, results_key
from llm_relay.batch.model.record import Batch
from llm_relay.billing.money import format_usd

UNKNOWN = "unknown"
RESULTS = {OUTPUT: "output_file_id", ERRORS: "error_file_id"}
MISTAKE = ("code", "param", "message")
SOME = 3  # lines that are named of those with the same mistake


def aside() -> Console:
    """The console of stderr, for what is no result; wide where nobody looks."""
    return Console(stderr=True, width=None if sys.stderr.isatty() else WIDTH, highlight=False)


def show_batches(batches: list[Batch]) -> None:
    """A table of batches."""
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
    screen().print(table)


def show_batch(batch: Batch, bucket: str) -> None:
    """Everything about one batch, its errors included."""
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
            **{name: moment(when) for name, when in happened(batch)},
            "Expires": None if batch.times.get("completed_at") else moment(batch.expires_at),
            "Metadata": ", ".join(f"{name}={value}" for name, value in metadata(batch)) or None,
            "Input": f"s3://{bucket}/{batch.input_key}",
            **places(batch, bucket),
        }
    )
    if batch.errors:
        click.echo()
        show_errors(batch.errors, batch.error_count)


def show_errors(
    errors: Iterable[Mapping[str, Any]],
    count: int,
    console: Console | None = None,
    most: int | None = None,
) -> None:
    """A table of what is wrong with a file, each mistake once, and how many more lines there are.

    `count` is of bad lines, `most` of different mistakes.
    """
    table, found = table_of("Lines", "Code", "Field", "What is wrong"), by_mistake(errors)
    for mistake, lines in islice(found.items(), most):
        count -= len(lines)
        add_row(table, few(lines), *mistake)
    console = console or screen()
    console.print(table)
    if count > 0:
        console.print(f"… and {count:,} more.")


def by_mistake(errors: Iterable[Mapping[str, Any]]) -> dict[tuple[str, ...], list[str]]:
    """The numbers of the lines that have each mistake: its code, its field and the message."""
    found: dict[tuple[str, ...], list[str]] = {}
    for error in errors:
        line, *mistake = (str(error.get(name) or "") for name in ("line", *MISTAKE))
        found.setdefault(tuple(mistake), []).append(line)
    return found


def few(lines: list[str]) -> str:
    """The first numbers of lines, and how many there are besides."""
    more = len(lines) - SOME
    return ", ".join(lines[:SOME]) + (f" and {more:,} more" if more > 0 else "")


def print_facts(facts: Mapping[str, str | None], console: Console | None = None) -> None:
    """A table of names and what they are, without those that are nothing."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column()
    table.add_column(overflow="fold")
    for name, value in facts.items():
        if value is not None:
            add_row(table, name, value)
    (console or screen()).print(table)


def rows(batch: Batch) -> str:
    """How many rows there are, and what became of them."""
    return f"{batch.total:,}: {batch.completed:,} done, {batch.failed:,} failed"


def cost(batch: Batch) -> str:
    """What a batch cost, which is known when it has ended."""
    return UNKNOWN if batch.cost_nanos is None else format_usd(batch.cost_nanos)


def tokens(batch: Batch) -> str | None:
    """What a batch used, if that is known."""
    if not batch.usage:
        return None
    return f"{batch.usage['input_tokens']:,} in, {batch.usage['output_tokens']:,} out"


def happened(batch: Batch) -> list[tuple[str, int]]:
    """What became of a batch and when, in that order."""
    times = sorted(batch.times.items(), key=lambda each: each[1])
    words = (name.removesuffix("_at").replace("_", " ").capitalize() for name, _ in times)
    return [(word, when) for word, (_, when) in zip(words, times, strict=True)]


def metadata(batch: Batch) -> list[tuple[str, str]]:
    """What whoever submitted a batch wrote on it."""
    return list((batch.metadata or {}).items())


def places(batch: Batch, bucket: str) -> dict[str, str]:
    """Where the files of results are that there are."""
    return {
        kind.capitalize(): f"s3://{bucket}/{results_key(batch, kind)}"
        for kind, member in RESULTS.items()
        if getattr(batch, member)
    }
