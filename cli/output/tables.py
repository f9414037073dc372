"""Output of commands for people and scripts."""

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli.services.client_admin import IssuedKey
from cli.services.clients import ClientKey, ClientProfile
from llm_relay.billing.money import format_usd, usd_from_nanos

if TYPE_CHECKING:
    from mypy_boto3_apigateway.type_defs import UsagePlanResponseTypeDef

WIDTH = 160  # without a terminal
NONE = "–"
LAG = "and up to 300 s longer in the authorizer's cache"


def console() -> Console:
    """Return a console on stdout; wide without a terminal, so that no cell is cut."""
    return Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False)


def moment(seconds: int | None) -> str | None:
    """Format a time as ISO 8601 in UTC."""
    return None if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def client_json(client: ClientProfile) -> dict[str, Any]:
    """Return a client as JSON values, with the ids of its keys."""
    nanos = client.limits.budget_nanos
    return {
        "id": client.id,
        "name": client.name,
        "created_at": moment(client.created_at),
        "revoked_at": moment(client.revoked_at),
        "budget_usd": None if nanos is None else usd_from_nanos(nanos),
        "budget_per": client.limits.budget_per if nanos else None,
        "models": sorted(client.limits.models or ()) or None,
        "max_output_tokens": client.limits.max_output_tokens,
        "plan_id": client.plan_id,
        "keys": [
            {
                "key_id": key.key_id,
                "serial": key.serial,
                "created_at": moment(key.created_at),
                "dies_at": moment(key.dies_at),
            }
            for key in client.keys
        ],
    }


def show_clients(clients: list[ClientProfile]) -> None:
    """Print a table of clients."""
    if not clients:
        click.echo("There are no clients yet. Create one: relay keys create NAME")
        return
    table = table_of("Name", "Client", "Budget", "Models", "Created", "Keys")
    for client in clients:
        state = "revoked" if client.revoked_at else "\n".join(map(key_line, client.keys))
        models = ", ".join(sorted(client.limits.models or ())) or "any"
        add_row(
            table, client.name, client.id, budget(client), models, day(client.created_at), state
        )
    console().print(table)


def show_client(client: ClientProfile, plan: "UsagePlanResponseTypeDef | None") -> None:
    """Print all details of a client; `plan` is None for a revoked one."""
    table = Table(box=None, show_header=False, pad_edge=False)
    rows = {
        "Name": client.name,
        "Client": client.id,
        "Created": moment(client.created_at),
        "Revoked": moment(client.revoked_at),
        "Budget": budget(client),
        "Models": ", ".join(sorted(client.limits.models or ())) or "any",
        "Longest answer": tokens(client.limits.max_output_tokens),
        "Throttle": throttle(plan) if plan else None,
        "Quota": quota(plan) if plan else None,
        "Keys": "\n".join(map(key_line, client.keys)) or NONE,
    }
    for name, value in rows.items():
        if value is not None:
            add_row(table, name, value)
    console().print(table)


def show_issued(issued: IssuedKey) -> None:
    """Print a new key and the expiry of the others."""
    client = issued.client
    click.echo(f"Key of {client.name} (client {client.id}, key id {issued.key.key_id}),")
    click.echo("shown once and stored only in API Gateway:\n")
    click.echo(f"  {issued.value}\n")
    click.echo("Use it as OPENAI_API_KEY.")
    for key in client.keys:
        if key.dies_at is not None:
            click.echo(f"Key {key.key_id} works until {moment(key.dies_at)}, {LAG}.")


def table_of(*columns: str) -> Table:
    """Return an empty table with these columns."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def add_row(table: Table, *cells: str) -> None:
    """Add a row of literal text: names may look like markup."""
    table.add_row(*map(Text, cells))


def key_line(key: ClientKey) -> str:
    """Return a key's id and expiry, if any."""
    return f"{key.key_id} until {moment(key.dies_at)}" if key.dies_at else key.key_id


def budget(client: ClientProfile) -> str:
    """Return a client's budget in words."""
    nanos = client.limits.budget_nanos
    return NONE if nanos is None else f"{format_usd(nanos)} per {client.limits.budget_per}"


def day(seconds: int) -> str:
    """Return the day of a time, in UTC."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}"


def tokens(number: int | None) -> str:
    """Return a cap on tokens in words."""
    return NONE if number is None else f"{number:,} tokens"


def throttle(plan: "UsagePlanResponseTypeDef") -> str:
    """Return a plan's throttle in words."""
    limits = plan.get("throttle")
    if not limits:
        return NONE
    return f"{limits.get('rateLimit', 0):g} per second, {limits.get('burstLimit', 0)} at once"


def quota(plan: "UsagePlanResponseTypeDef") -> str:
    """Return a plan's quota in words."""
    limits = plan.get("quota")
    if not limits:
        return NONE
    return f"{limits.get('limit', 0):,} requests per {limits.get('period', 'DAY').lower()}"
