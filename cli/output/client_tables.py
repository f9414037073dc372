"""Output of `relay keys`."""

from dataclasses import asdict, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from cli.output.tables import NONE, console, moment, print_facts, table_of
from cli.services.clients import ClientProfile
from llm_relay.billing.money import format_usd, usd_from_nanos
from llm_relay.core.client import ClientLimits

if TYPE_CHECKING:
    from mypy_boto3_apigateway.type_defs import UsagePlanResponseTypeDef

NO_CLIENTS = "There are no clients yet. Create one: relay keys create NAME"
LAG = "and up to 300 s longer in the authorizer's cache"


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
        **_other_limits(client),
        "plan_id": client.plan_id,
        "keys": [
            asdict(key)
            | {"created_at": moment(key.created_at), "expires_at": moment(key.expires_at)}
            for key in client.keys
        ],
    }


def show_clients(clients: list[ClientProfile]) -> None:
    """Print a table of clients."""
    if not clients:
        click.echo(NO_CLIENTS)
        return
    table = table_of("Name", "Client", "Budget", "Models", "Created", "Keys")
    for client in clients:
        created = f"{datetime.fromtimestamp(client.created_at, UTC):%Y-%m-%d}"
        keys = "revoked" if client.revoked_at else _key_lines(client)
        table.add_row(client.name, client.id, _budget(client), _models(client), created, keys)
    console().print(table)


def show_client(client: ClientProfile, plan: "UsagePlanResponseTypeDef | None") -> None:
    """Print all details of a client; `plan` is None for a revoked one."""
    limits = _other_limits(client)
    del limits["models"]
    print_facts(
        {
            "Name": client.name,
            "Client": client.id,
            "Created": moment(client.created_at),
            "Revoked": moment(client.revoked_at),
            "Budget": _budget(client),
            "Models": _models(client),
            **{name.replace("_", " ").capitalize(): _text(limits[name]) for name in limits},
            **(_plan_limits(plan) if plan else {}),
            "Keys": _key_lines(client) or NONE,
        }
    )


def _other_limits(client: ClientProfile) -> dict[str, Any]:
    """Return every limit but the budget, None if unset."""
    values = client.limits.values()
    names = (each.name for each in fields(ClientLimits) if not each.name.startswith("budget_"))
    return {name: values.get(name) for name in names}


def _text(limit: Any) -> str:
    return NONE if limit is None else f"{limit:,}" if isinstance(limit, int) else str(limit)


def _plan_limits(plan: "UsagePlanResponseTypeDef") -> dict[str, str]:
    texts = {"Throttle": NONE, "Quota": NONE}
    if limits := plan.get("throttle"):
        rate, burst = limits.get("rateLimit", 0), limits.get("burstLimit", 0)
        texts["Throttle"] = f"{rate:g} per second, {burst} at once"
    if quota := plan.get("quota"):
        period = quota.get("period", "DAY").lower()
        texts["Quota"] = f"{quota.get('limit', 0):,} requests per {period}"
    return texts


def show_new_key(client: ClientProfile, value: str, *, quiet: bool) -> None:
    """Print the client's last key and, unless `quiet`, its use and the expiry of the others."""
    if quiet:
        click.echo(value)
        return
    click.echo(f"Key of {client.name} (client {client.id}, key id {client.keys[-1].key_id}),")
    click.echo("shown once and stored only in API Gateway:\n")
    click.echo(f"  {value}\n")
    click.echo("Use it as OPENAI_API_KEY.")
    for key in client.keys:
        if key.expires_at is not None:
            click.echo(f"Key {key.key_id} works until {moment(key.expires_at)}, {LAG}.")


def _key_lines(client: ClientProfile) -> str:
    return "\n".join(
        f"{key.key_id} until {moment(key.expires_at)}" if key.expires_at else key.key_id
        for key in client.keys
    )


def _models(client: ClientProfile) -> str:
    return ", ".join(sorted(client.limits.models or ())) or "any"


def _budget(client: ClientProfile) -> str:
    nanos = client.limits.budget_nanos
    return NONE if nanos is None else f"{format_usd(nanos)} per {client.limits.budget_per}"
