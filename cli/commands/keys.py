"""`relay keys`: clients, their keys and limits."""

import functools
from collections.abc import Callable
from typing import Any

import click

from cli.aws.target_stack import target_options, target_stack
from cli.commands.option_types import client_name, duration, json_option, model_id, usd
from cli.output.client_tables import client_json, show_client, show_clients, show_new_key
from cli.output.tables import counted, print_json
from cli.services.client_admin import ClientAdmin
from llm_relay.core.client import ClientLimits, parse_limits

PERIODS = click.Choice(["day", "week", "month"])
MODELS_HELP = "Allowed model; repeatable [default: all]"
OVERLAP_HELP = "Time until the old keys expire."
quiet = click.option("--quiet", is_flag=True, help="Print the key's value and nothing else.")


@click.group()
@target_options
def keys() -> None:
    """Create, list, rotate and revoke client keys."""


def with_client_admin(command: Callable[..., None]) -> Callable[..., None]:
    """Pass the stack's ClientAdmin to a command, after deleting expired keys."""

    @target_options
    @functools.wraps(command)
    def run(**options: Any) -> None:
        from botocore.exceptions import ClientError  # noqa: PLC0415 - late, as boto3

        from cli.aws.errors import explain  # noqa: PLC0415 - imports botocore

        admin = ClientAdmin(target_stack())
        try:
            for client, key in admin.prune():
                deleted = f"Deleted key {key.key_id} of {client.name}"
                click.echo(f"{deleted}: its overlap has ended.", err=True)
        except ClientError as error:  # read-only operators can still list
            click.echo(f"Expired keys could not be deleted. {explain(error)}", err=True)
        command(admin, **options)

    return run


@keys.command()
@click.argument("name", type=client_name)
@click.option("--budget-usd", "budget_nanos", type=usd, help="Budget in USD.")
@click.option("--per", type=click.Choice(["day", "month"]), help="Budget period [default: month]")
@click.option("--rps", type=click.FloatRange(min=0, min_open=True), help="Requests per second.")
@click.option("--burst", type=click.IntRange(min=1), help="Burst of requests [default: 2 x --rps]")
@click.option("--quota", type=click.IntRange(min=1), help="Requests per --quota-per.")
@click.option("--quota-per", type=PERIODS, help="Quota period [default: day]")
@click.option("--model", "models", type=model_id, multiple=True, metavar="ID", help=MODELS_HELP)
@click.option("--max-output-tokens", type=click.IntRange(min=1), help="Maximum tokens per answer.")
@quiet
@json_option
@with_client_admin
def create(admin: ClientAdmin, name: str, *, quiet: bool, as_json: bool, **options: Any) -> None:
    """Create the client NAME and print its key, once.

    Limits that are not given are the stack's defaults. With --rps or --quota the client gets its
    own usage plan.
    """
    client, key = admin.create(name, _client_limits(options), _rate_limits(options))
    if as_json:
        key_id = client.keys[-1].key_id
        print_json({"key": key, "key_id": key_id, "client": client_json(client)})
    else:
        show_new_key(client, key, quiet=quiet)


@keys.command("list")
@json_option
@with_client_admin
def list_(admin: ClientAdmin, *, as_json: bool) -> None:
    """List the clients with the ids of their keys."""
    clients = admin.clients.all()
    if as_json:
        print_json([client_json(client) for client in clients])
    else:
        show_clients(clients)


@keys.command()
@click.argument("client")
@json_option
@with_client_admin
def show(admin: ClientAdmin, client: str, *, as_json: bool) -> None:
    """Show CLIENT (an id or a name) and its limits."""
    found = admin.clients.find(client)
    if as_json:
        print_json(client_json(found))
    else:
        show_client(found, None if found.revoked_at else admin.plan(found.plan_id))


@keys.command()
@click.argument("client")
@click.option("--overlap", type=duration, default="24h", metavar="TIME", help=OVERLAP_HELP)
@quiet
@with_client_admin
def rotate(admin: ClientAdmin, client: str, *, overlap: int, quiet: bool) -> None:
    """Print a new key for CLIENT, once; its other keys expire when the overlap ends.

    The authorizer's cache may accept an expired key for up to 300 s.
    """
    show_new_key(*admin.rotate(admin.clients.find(client), overlap), quiet=quiet)


@keys.command()
@click.argument("client", required=False)
@click.option("--key", "key_id", metavar="KEY_ID", help="Revoke only the key with this id.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_client_admin
def revoke(admin: ClientAdmin, client: str | None, *, key_id: str | None, yes: bool) -> None:
    """Revoke all keys of CLIENT, or the one of --key, immediately."""
    if (client is None) == (key_id is None):
        raise click.UsageError("Pass either a client or --key.")
    found = admin.clients.find(client) if client else admin.clients.with_key(key_id or "")
    what = f"key {key_id}" if key_id else counted(len(found.keys), "key")
    if not yes:
        click.confirm(f"Revoke {what} of {found.name} ({found.id})?", abort=True, err=True)
    if key_id:
        admin.revoke_key(found, key_id)
    else:
        admin.revoke(found)
    click.echo(f"Revoked {what} of {found.name} ({found.id}).")


@keys.command()
@with_client_admin
def prune(admin: ClientAdmin) -> None:
    """Delete expired keys, as every keys and usage command does first."""
    admin.prune()  # again: here a failure is an error
    left = sum(key.expires_at is not None for client in admin.clients.all() for key in client.keys)
    click.echo(f"No expired keys are left. Keys in their overlap: {left}.")


def _client_limits(options: dict[str, Any]) -> ClientLimits:
    if options["per"] and not options["budget_nanos"]:
        raise click.UsageError("--per requires --budget-usd.")
    budget_per = (options["per"] or "month") if options["budget_nanos"] else "day"
    limits = {**options, "budget_per": budget_per, "models": options["models"] or None}
    return ClientLimits(**parse_limits(limits))


def _rate_limits(options: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a usage plan that differ from the stack's."""
    rate, burst, quota = options["rps"], options["burst"], options["quota"]
    if burst and not rate:
        raise click.UsageError("--burst requires --rps.")
    if options["quota_per"] and not quota:
        raise click.UsageError("--quota-per requires --quota.")
    limits: dict[str, Any] = {}
    if rate:
        limits["throttle"] = {"rateLimit": rate, "burstLimit": burst or max(1, round(2 * rate))}
    if quota:
        limits["quota"] = {"limit": quota, "period": (options["quota_per"] or "day").upper()}
    return limits
