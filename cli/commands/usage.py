"""`relay usage`: usage and remaining budgets of all clients."""

import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import click
from rich.bar import Bar
from rich.table import Table
from rich.text import Text

from cli.commands.keys import as_json, with_client_admin
from cli.output.tables import NONE, add_row, console, table_of
from cli.services.batch_client import caller_of
from cli.services.client_admin import ClientAdmin
from cli.services.clients import ClientProfile
from llm_relay.billing.money import format_usd, nanos_from_usd

AT_ONCE = 8  # concurrent queries
BAR_WIDTH = 40
KEPT_DAYS = 400
Report = dict[str, Any]


@click.command()
@click.option("--days", type=click.IntRange(1, KEPT_DAYS), default=14, show_default=True)
@as_json
@with_client_admin
def usage(admin: ClientAdmin, *, days: int, as_json: bool) -> None:
    """Show all clients' usage of the last days, and their remaining budgets."""
    found = reports(admin, days)
    if as_json:
        click.echo(json.dumps(found, indent=2))
    elif found:
        show_reports(found)
        show_days(found, days)
    else:
        click.echo("There are no clients yet. Create one: relay keys create NAME")


def reports(admin: ClientAdmin, days: int) -> list[Report]:
    """Return each client's `GET /v1/usage` document and name, including revoked clients with usage.

    One query per client, and a read of its ledger if it has a budget.
    """
    from llm_relay.api.usage_report import usage_report  # noqa: PLC0415 - imports the whole relay
    from llm_relay.aws.dynamodb import Table  # noqa: PLC0415 - with the next

    dynamodb, now = admin.stack.dynamodb(), time.time()
    table = Table(admin.stack.resource("ClientsTable"), lambda: dynamodb)

    def report(client: ClientProfile) -> Report:
        return {"name": client.name, **usage_report(caller_of(client), table, now, days)}

    clients = admin.clients.all()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = list(pool.map(report, clients))
    return [
        each
        for client, each in zip(clients, found, strict=True)
        if client.revoked_at is None or each["data"]
    ]


def show_reports(found: list[Report]) -> None:
    """Print a table of clients with usage and budgets."""
    table = table_of(
        "Name", "Client", "Requests", "Tokens in", "Tokens out", "Cost",
        "Budget", "Spent", "Reserved", "Remaining", "Resets",
    )  # fmt: skip
    for column in table.columns[2:-1]:
        column.justify = "right"
    for report in found:
        used = sum_rows(report["data"])
        numbers = [f"{used[name]:,}" for name in ("requests", "tokens_in", "tokens_out")]
        cells = [*numbers, format_usd(used["cost_nanos"]), *budget_cells(report["budget"])]
        add_row(table, report["name"], report["client"], *cells)
    console().print(table)


def budget_cells(budget: Report | None) -> list[str]:
    """Return a budget's cells."""
    if budget is None:
        return [NONE] * 5
    usd = ("usd", "spent_usd", "reserved_usd", "remaining_usd")
    whole, *parts = (format_usd(nanos_from_usd(budget[name])) for name in usd)
    return [f"{whole} per {budget['per']}", *parts, budget["resets_at"]]


def show_days(found: list[Report], days: int) -> None:
    """Print a bar per day: total cost, or requests if nothing has a price."""
    rows = [row for report in found for row in report["data"]]
    measure = "cost_nanos" if sum_rows(rows)["cost_nanos"] else "requests"
    by_day = {day: sum_rows([row for row in rows if row["day"] == day]) for day in last_days(days)}
    longest = max(used[measure] for used in by_day.values())
    if not longest:
        return
    table = Table(box=None, pad_edge=False, show_header=False)
    for day, used in by_day.items():
        bar = Bar(longest, 0, used[measure], width=BAR_WIDTH)
        label = f"{format_usd(used['cost_nanos'])}, {used['requests']:,} requests"
        table.add_row(Text(day), bar, Text(label if used["requests"] else ""))
    click.echo()
    console().print(table)


def sum_rows(rows: list[Report]) -> Counter[str]:
    """Return the sums over rows, with costs in nanodollars."""
    sums: Counter[str] = Counter()
    for row in rows:
        sums["cost_nanos"] += nanos_from_usd(row["cost_usd"])
        for name in ("requests", "tokens_in", "tokens_out"):
            sums[name] += row[name]
    return sums


def last_days(days: int) -> list[str]:
    """Return the last days in UTC, ending today."""
    today = datetime.now(UTC)
    return [f"{today - timedelta(days=back):%Y-%m-%d}" for back in reversed(range(days))]
