"""`relay usage`: usage and remaining budgets of all clients."""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import click
from rich.bar import Bar

from cli.aws.target_stack import Stack, target_selection
from cli.commands.keys import with_client_admin
from cli.commands.option_types import json_option
from cli.output.client_tables import NO_CLIENTS
from cli.output.tables import NONE, console, print_json, table_of
from cli.services.client_admin import ClientAdmin
from cli.services.clients import ClientProfile
from llm_relay.billing.money import format_usd, nanos_from_usd

MAX_QUERIES = 8  # at the same time; one per client, and a read of its ledger
BAR_WIDTH = 40
MAX_DAYS = 400
DAYS_HELP = "Number of days, including today."
Report = dict[str, Any]


@click.command()
@click.option("--days", type=click.IntRange(1, MAX_DAYS), default=14, help=DAYS_HELP)
@json_option
@with_client_admin
def usage(admin: ClientAdmin, *, days: int, as_json: bool) -> None:
    """Show all clients' usage of the last days, and their remaining budgets.

    Calls with the first client key are not counted: it has no client profile.
    """
    reports = _reports(admin, days)
    if as_json:
        print_json(reports)
    elif reports:
        _show_reports(reports)
        _show_days(reports, days)
    else:
        click.echo(NO_CLIENTS)
    if not as_json:
        click.echo(_first_key_note(admin.stack))


def _first_key_note(stack: Stack) -> str:
    """Return where to see the calls that no client's usage includes."""
    where = f'the saved query "Cost by client", client {stack.resource("ClientKey")}'
    if "local" in target_selection():
        where = "the log .relay-local.log"
    return (
        f"Calls with the first client key have no client profile and are not counted: see {where}."
    )


def _reports(admin: ClientAdmin, days: int) -> list[Report]:
    """Return each client's name and `GET /v1/usage` document; revoked clients only with usage."""
    from llm_relay.api.usage_report import usage_report  # noqa: PLC0415 - imports the whole relay
    from llm_relay.aws.dynamodb import Table  # noqa: PLC0415 - with the next

    dynamodb, now = admin.stack.client("dynamodb"), time.time()
    table = Table(admin.stack.resource("ClientsTable"), lambda: dynamodb)

    def report(client: ClientProfile) -> Report:
        return {"name": client.name, **usage_report(client.as_caller(), table, now, days)}

    clients = admin.clients.all()
    with ThreadPoolExecutor(MAX_QUERIES) as pool:
        pairs = zip(clients, pool.map(report, clients), strict=True)
        return [each for client, each in pairs if client.revoked_at is None or each["data"]]


def _show_reports(reports: list[Report]) -> None:
    table = table_of(
        "Name", "Client", "Requests", "Tokens in", "Tokens out", "Cost",
        "Budget", "Spent", "Reserved", "Remaining", "Resets",
        right=slice(2, -1),
    )  # fmt: skip
    for report in reports:
        used = _sum_rows(report["data"])
        numbers = [f"{used[name]:,}" for name in ("requests", "tokens_in", "tokens_out")]
        cells = [*numbers, format_usd(used["cost_nanos"]), *_budget_cells(report["budget"])]
        table.add_row(report["name"], report["client"], *cells)
    console().print(table)


def _budget_cells(budget: Report | None) -> list[str]:
    if budget is None:
        return [NONE] * 5
    names = ("usd", "spent_usd", "reserved_usd", "remaining_usd")
    total, *parts = (format_usd(nanos_from_usd(budget[name])) for name in names)
    return [f"{total} per {budget['per']}", *parts, budget["resets_at"]]


def _show_days(reports: list[Report], days: int) -> None:
    """Print a bar per day: total cost, or requests if nothing has a price."""
    rows = [row for report in reports for row in report["data"]]
    measure = "cost_nanos" if _sum_rows(rows)["cost_nanos"] else "requests"
    today = datetime.now(UTC)
    dates = [f"{today - timedelta(days=back):%Y-%m-%d}" for back in reversed(range(days))]
    by_day = {day: _sum_rows([row for row in rows if row["day"] == day]) for day in dates}
    longest = max(used[measure] for used in by_day.values())
    if not longest:
        return
    table = table_of("", "", "")
    for day, used in by_day.items():
        bar = Bar(longest, 0, used[measure], width=BAR_WIDTH)
        label = f"{format_usd(used['cost_nanos'])}, {used['requests']:,} requests"
        table.add_row(day, bar, label if used["requests"] else "")
    click.echo()
    console().print(table)


def _sum_rows(rows: list[Report]) -> Counter[str]:
    """Return the sums over rows, with costs in nanodollars."""
    sums: Counter[str] = Counter()
    for row in rows:
        sums["cost_nanos"] += nanos_from_usd(row["cost_usd"])
        for name in ("requests", "tokens_in", "tokens_out"):
            sums[name] += row[name]
    return sums
