"""What `relay batch` prints for people."""

import sys
from collections.abc import Mapping
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from cli.screens import WIDTH, add_row, moment, screen, table_of
from llm_relay.batch.ending import ERRORS, OUTPUT, results_key
from llm_relay.batch.names import OPERATOR
from llm_relay.batch.record import Batch
from llm_relay.money import dollars

UNKNOWN = "unknown"
RESULTS = {OUTPUT: "output_file_id", ERRORS: "error_file_id"}


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
        show_errors(list(batch.errors), batch.error_count)


def show_errors(errors: list[Any], count: int, console: Console | None = None) -> None:
    """A table of what is wrong with a file, line by line, and how much more there is."""
    table = table_of("Line", "Code", "Field", "What is wrong")
    for error in errors:
        line, code, field = (str(error.get(name) or "") for name in ("line", "code", "param"))
        add_row(table, line, code, field, str(error.get("message") or ""))
    console = console or screen()
    console.print(table)
    if count > len(errors):
        console.print(f"… and {count - len(errors):,} more.")


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
    return UNKNOWN if batch.cost_nanos is None else dollars(batch.cost_nanos)


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
