"""`relay usage`: what every client has used, and what is left of its budget."""

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

from cli.commands.keys import as_json, at_the_desk
from cli.output.tables import NONE, add_row, screen, table_of
from cli.services.client_admin import ClientAdmin
from cli.services.clients import Client
from llm_relay.billing.money import format_usd, nanos_from_usd

AT_ONCE = 8  # clients asked for
BAR_WIDTH = 40
KEPT_DAYS = 400
Report = dict[str, Any]


@click.command()
@click.option("--days", type=click.IntRange(1, KEPT_DAYS), default=14, help="Else 14.")
@as_json
@at_the_desk
def usage(desk: ClientAdmin, *, days: int, as_json: bool) -> None:
    """Shows what all clients used in the last days, and what is left of their budgets."""
    found = reports(desk, days)
    if as_json:
        click.echo(json.dumps(found, indent=2))
    elif found:
        show_reports(found)
        show_days(found, days)
    else:
        click.echo("There are no clients yet. Make one: relay keys create NAME")


def reports(desk: ClientAdmin, days: int) -> list[Report]:
    """What `GET /v1/usage` tells each client, and its name; revoked ones that used something too.

    That is a query for each, and a read of its ledger if it has a budget.
    """
    from llm_relay.api.usage_report import usage_report  # noqa: PLC0415 - imports the whole relay
    from llm_relay.aws.dynamodb import Table  # noqa: PLC0415 - with the next
    from llm_relay.core.client import Client as Caller  # noqa: PLC0415 - with the next

    dynamodb, now = desk.stack.dynamodb(), time.time()
    table = Table(desk.stack.resource("ClientsTable"), lambda: dynamodb)

    def report(client: Client) -> Report:
        terms = client.terms
        caller = Caller(
            id=client.id,
            key_id="",
            budget_nanos=terms.budget_nanos,
            budget_per=terms.budget_per or "day",
        )
        return {"name": client.name, **usage_report(caller, table, now, days)}

    clients = desk.clients.all()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        told = list(pool.map(report, clients))
    return [
        each
        for client, each in zip(clients, told, strict=True)
        if client.revoked_at is None or each["data"]
    ]


def show_reports(found: list[Report]) -> None:
    """A table of clients: what they used, and how they stand with their budgets."""
    table = table_of(
        "Name", "Client", "Requests", "Tokens in", "Tokens out", "Cost",
        "Budget", "Spent", "Reserved", "Remaining", "Resets",
    )  # fmt: skip
    for column in table.columns[2:-1]:
        column.justify = "right"
    for report in found:
        used = total(report["data"])
        numbers = [f"{used[name]:,}" for name in ("requests", "tokens_in", "tokens_out")]
        cells = [*numbers, format_usd(used["cost_nanos"]), *standing(report["budget"])]
        add_row(table, report["name"], report["client"], *cells)
    screen().print(table)


def standing(budget: Report | None) -> list[str]:
    """A budget's cells."""
    if budget is None:
        return [NONE] * 5
    usd = ("usd", "spent_usd", "reserved_usd", "remaining_usd")
    whole, *parts = (format_usd(nanos_from_usd(budget[name])) for name in usd)
    return [f"{whole} per {budget['per']}", *parts, budget["resets_at"]]


def show_days(found: list[Report], days: int) -> None:
    """A bar for each day: the cost of all clients, or their requests if nothing has a price."""
    rows = [row for report in found for row in report["data"]]
    measure = "cost_nanos" if total(rows)["cost_nanos"] else "requests"
    by_day = {day: total([row for row in rows if row["day"] == day]) for day in last(days)}
    longest = max(used[measure] for used in by_day.values())
    if not longest:
        return
    table = Table(box=None, pad_edge=False, show_header=False)
    for day, used in by_day.items():
        bar = Bar(longest, 0, used[measure], width=BAR_WIDTH)
        said = f"{format_usd(used['cost_nanos'])}, {used['requests']:,} requests"
        table.add_row(Text(day), bar, Text(said if used["requests"] else ""))
    click.echo()
    screen().print(table)


def total(rows: list[Report]) -> Counter[str]:
    """The sums of what rows tell, costs in whole nanodollars."""
    sums: Counter[str] = Counter()
    for row in rows:
        sums["cost_nanos"] += nanos_from_usd(row["cost_usd"])
        for name in ("requests", "tokens_in", "tokens_out"):
            sums[name] += row[name]
    return sums


def last(days: int) -> list[str]:
    """The names of the last days, today's at the end, in UTC."""
    today = datetime.now(UTC)
    return [f"{today - timedelta(days=back):%Y-%m-%d}" for back in reversed(range(days))]
