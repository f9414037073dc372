"""Output of commands for people and scripts."""

import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import click
from rich.console import Console
from rich.table import Table

WIDTH = 160  # without a terminal
NONE = "–"


def console(*, stderr: bool = False) -> Console:
    """Return a console for literal text; wide without a terminal, so that no cell is cut."""
    width = None if (sys.stderr if stderr else sys.stdout).isatty() else WIDTH
    return Console(stderr=stderr, width=width, highlight=False, markup=False, emoji=False)


def table_of(*columns: str, right: slice = slice(0)) -> Table:
    """Return an empty table; columns in `right` are aligned to the right, and "" is unnamed."""
    table = Table(box=None, pad_edge=False, header_style="bold", show_header=any(columns))
    for column in columns:
        table.add_column(column, overflow="fold")
    for number in table.columns[right]:
        number.justify = "right"
    return table


def print_facts(facts: Mapping[str, str | None], *, stderr: bool = False) -> None:
    """Print a table of names and values, without None."""
    table = table_of("", "")
    for name, value in facts.items():
        if value is not None:
            table.add_row(name, value)
    console(stderr=stderr).print(table)


def print_json(document: Any) -> None:
    """Print a document for scripts."""
    click.echo(json.dumps(document, indent=2))


def moment(seconds: int | None) -> str | None:
    """Format a time as ISO 8601 in UTC."""
    return None if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def counted(number: int, noun: str) -> str:
    """Return a number of things in words."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
