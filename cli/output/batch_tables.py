"""Output of `relay batch` for people."""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

import click

from cli.output.tables import console, moment, print_facts, table_of
from cli.services.batch_client import result_keys
from llm_relay.batch.model.names import OPERATOR
from llm_relay.batch.model.record import Batch
from llm_relay.billing.money import format_usd

UNKNOWN = "unknown"
ERROR_FIELDS = ("code", "param", "message")
MAX_LINE_NUMBERS = 3  # listed per error


def show_batches(batches: list[Batch]) -> None:
    """Print a table of batches."""
    if not batches:
        click.echo("There are no batches. Submit one: relay batch submit FILE")
        return
    names = ("Batch", "Owner", "Status", "Rows", "Done", "Failed", "Cost", "Created")
    table = table_of(*names, right=slice(3, 7))
    for batch in batches:
        numbers = (f"{number:,}" for number in (batch.total, batch.completed, batch.failed))
        created = str(moment(batch.created_at))
        table.add_row(batch.id, batch.owner, batch.status, *numbers, _cost(batch), created)
    console().print(table)


def show_batch(batch: Batch, bucket: str) -> None:
    """Print all details of a batch, including its errors."""
    metadata = ", ".join(f"{name}={value}" for name, value in (batch.metadata or {}).items())
    results = result_keys(batch)
    print_facts(
        {
            "Batch": batch.id,
            "Status": batch.status,
            "Owner": batch.owner,
            "Client": batch.client.id if batch.owner != OPERATOR else None,
            "Endpoint": batch.endpoint,
            **outcome(batch),
            "Created": moment(batch.created_at),
            **_milestones(batch),
            "Expires": None if batch.times.get("completed_at") else moment(batch.expires_at),
            "Metadata": metadata or None,
            "Input": f"s3://{bucket}/{batch.input_key}",
            **{kind.capitalize(): f"s3://{bucket}/{key}" for kind, key in results.items()},
        }
    )
    if batch.errors:
        click.echo()
        show_errors(batch.errors, batch.error_count)


def show_errors(
    errors: Iterable[Mapping[str, Any]],
    line_count: int,
    *,
    max_shown: int | None = None,
    stderr: bool = False,
) -> None:
    """Print a file's errors, each once, and the number of further ones of `line_count` lines."""
    table, lines_by_error = table_of("Lines", "Code", "Field", "What is wrong"), _grouped(errors)
    for error, lines in islice(lines_by_error.items(), max_shown):
        line_count -= len(lines)
        table.add_row(_line_numbers(lines), *error)
    console(stderr=stderr).print(table)
    if line_count > 0:
        click.echo(f"… and {line_count:,} more.", err=stderr)


def outcome(batch: Batch) -> dict[str, str | None]:
    """Return a batch's rows by result, its cost and its tokens, as far as they are known."""
    usage = batch.usage
    return {
        "Rows": f"{batch.total:,}: {batch.completed:,} done, {batch.failed:,} failed",
        "Cost": _cost(batch),
        "Tokens": f"{usage['input_tokens']:,} in, {usage['output_tokens']:,} out"
        if usage
        else None,
    }


def _cost(batch: Batch) -> str:
    return UNKNOWN if batch.cost_nanos is None else format_usd(batch.cost_nanos)


def _grouped(errors: Iterable[Mapping[str, Any]]) -> dict[tuple[str, ...], list[str]]:
    """Return the line numbers of each error (code, field, message)."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for entry in errors:
        line, *error = (str(entry.get(name) or "") for name in ("line", *ERROR_FIELDS))
        groups.setdefault(tuple(error), []).append(line)
    return groups


def _line_numbers(lines: list[str]) -> str:
    """Return the first line numbers and the number of others."""
    more = len(lines) - MAX_LINE_NUMBERS
    return ", ".join(lines[:MAX_LINE_NUMBERS]) + (f" and {more:,} more" if more > 0 else "")


def _milestones(batch: Batch) -> dict[str, str | None]:
    """Return the times of a batch's status changes, in order."""
    times = sorted(batch.times.items(), key=lambda each: each[1])
    return {
        name.removesuffix("_at").replace("_", " ").capitalize(): moment(when)
        for name, when in times
    }
