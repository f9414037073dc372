"""What commands print for people, and the same for scripts."""

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli.services.client_admin import Issued
from cli.services.clients import Client, ClientKey
from llm_relay.billing.money import format_usd, usd_from_nanos

if TYPE_CHECKING:
    from mypy_boto3_apigateway.type_defs import UsagePlanResponseTypeDef

WIDTH = 160  # where there is no terminal to ask
NONE = "–"
LAG = "and up to 300 s longer where the authorizer remembers it"


def screen() -> Console:
    """The console; wide where nobody looks, so that no cell is cut in a file."""
    return Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False)


def moment(seconds: int | None) -> str | None:
    """A time as scripts like it, in UTC."""
    return None if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def client_json(client: Client) -> dict[str, Any]:
    """A client for scripts, with the ids of its keys."""
    nanos = client.terms.budget_nanos
    return {
        "id": client.id,
        "name": client.name,
        "created_at": moment(client.created_at),
        "revoked_at": moment(client.revoked_at),
        "budget_usd": None if nanos is None else usd_from_nanos(nanos),
        "budget_per": client.terms.budget_per,
        "models": list(client.terms.models) or None,
        "max_output_tokens": client.terms.max_output_tokens,
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


def show_clients(clients: list[Client]) -> None:
    """A table of clients."""
    if not clients:
        click.echo("There are no clients yet. Make one: relay keys create NAME")
        return
    table = table_of("Name", "Client", "Budget", "Models", "Created", "Keys")
    for client in clients:
        state = "revoked" if client.revoked_at else "\n".join(map(key_line, client.keys))
        models = ", ".join(client.terms.models) or "any"
        add_row(
            table, client.name, client.id, budget(client), models, day(client.created_at), state
        )
    screen().print(table)


def show_client(client: Client, plan: "UsagePlanResponseTypeDef | None") -> None:
    """Everything about one client; without a plan for one that is revoked."""
    table = Table(box=None, show_header=False, pad_edge=False)
    rows = {
        "Name": client.name,
        "Client": client.id,
        "Created": moment(client.created_at),
        "Revoked": moment(client.revoked_at),
        "Budget": budget(client),
        "Models": ", ".join(client.terms.models) or "any",
        "Longest answer": tokens(client.terms.max_output_tokens),
        "Throttle": throttle(plan) if plan else None,
        "Quota": quota(plan) if plan else None,
        "Keys": "\n".join(map(key_line, client.keys)) or NONE,
    }
    for name, value in rows.items():
        if value is not None:
            add_row(table, name, value)
    screen().print(table)


def show_issued(issued: Issued) -> None:
    """A new key, the one time it is shown, and what becomes of the others."""
    client = issued.client
    click.echo(f"Key of {client.name} (client {client.id}, key id {issued.key.key_id}),")
    click.echo("shown this once and stored by API Gateway alone:\n")
    click.echo(f"  {issued.value}\n")
    click.echo("Use it as OPENAI_API_KEY.")
    for key in client.keys:
        if key.dies_at is not None:
            click.echo(f"Key {key.key_id} works until {moment(key.dies_at)}, {LAG}.")


def table_of(*columns: str) -> Table:
    """An empty table with these columns."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def add_row(table: Table, *cells: str) -> None:
    """Adds a row of text as it is; a name may look like markup."""
    table.add_row(*map(Text, cells))


def key_line(key: ClientKey) -> str:
    """A key's id, and until when it lives if that is known."""
    return f"{key.key_id} until {moment(key.dies_at)}" if key.dies_at else key.key_id


def budget(client: Client) -> str:
    """A client's budget in words."""
    nanos = client.terms.budget_nanos
    return NONE if nanos is None else f"{format_usd(nanos)} per {client.terms.budget_per}"


def day(seconds: int) -> str:
    """The day of a time, in UTC."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}"


def tokens(number: int | None) -> str:
    """A cap on tokens in words."""
    return NONE if number is None else f"{number:,} tokens"


def throttle(plan: "UsagePlanResponseTypeDef") -> str:
    """A plan's throttle in words."""
    said = plan.get("throttle")
    if not said:
        return NONE
    return f"{said.get('rateLimit', 0):g} per second, {said.get('burstLimit', 0)} at once"


def quota(plan: "UsagePlanResponseTypeDef") -> str:
    """A plan's quota in words."""
    said = plan.get("quota")
    if not said:
        return NONE
    return f"{said.get('limit', 0):,} requests per {said.get('period', 'DAY').lower()}"
