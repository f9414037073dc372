"""`relay keys`: clients, their keys and limits."""

import functools
import json
from collections.abc import Callable
from typing import Any

import click

from cli.aws.api_keys import RateLimits
from cli.aws.target_stack import stack_of, target_options
from cli.commands.option_types import ClientName, Duration, Model, Usd
from cli.output.tables import client_json, show_client, show_clients, show_issued
from cli.services.client_admin import ClientAdmin, IssuedKey
from cli.services.clients import ClientProfile
from llm_relay.core.client import ClientLimits, parse_limits

PERIODS = click.Choice(["day", "week", "month"])
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
quiet = click.option("--quiet", is_flag=True, help="Print the key's value and nothing else.")


@click.group()
@target_options
def keys() -> None:
    """Create, list, rotate and revoke client keys."""


def with_client_admin(command: Callable[..., None]) -> Callable[..., None]:
    """Pass the stack's ClientAdmin to a command, after deleting expired keys."""

    @target_options
    @click.pass_context
    @functools.wraps(command)
    def run(context: click.Context, /, **given: Any) -> None:
        from botocore.exceptions import ClientError  # noqa: PLC0415 - late, as boto3

        from cli.aws.errors import explain  # noqa: PLC0415 - imports botocore

        admin = ClientAdmin(stack_of(context))
        try:
            delete_expired_keys(admin)
        except ClientError as error:  # read-only operators can still list
            click.echo(f"Expired keys could not be deleted. {explain(error)}", err=True)
        command(admin, **given)

    return run


def delete_expired_keys(admin: ClientAdmin) -> None:
    """Delete expired keys and report them on stderr."""
    for client, key in admin.prune():
        click.echo(f"Deleted key {key.key_id} of {client.name}: its overlap has ended.", err=True)


@keys.command()
@click.argument("name", type=ClientName())
@click.option("--budget-usd", "budget_nanos", type=Usd(), help="Budget in USD.")
@click.option("--per", type=click.Choice(["day", "month"]), help="Budget period [default: month]")
@click.option("--rps", type=click.FloatRange(min=0, min_open=True), help="Requests per second.")
@click.option("--burst", type=click.IntRange(min=1), help="Burst of requests [default: 2 x --rps]")
@click.option("--quota", type=click.IntRange(min=1), help="Requests per --quota-per.")
@click.option("--quota-per", type=PERIODS, help="Quota period [default: day]")
@click.option(
    "--model",
    "models",
    type=Model(),
    multiple=True,
    help="Allowed model; repeatable [default: all]",
)
@click.option(
    "--max-output-tokens", type=click.IntRange(min=1), help="Maximum output tokens per answer."
)
@quiet
@as_json
@with_client_admin
def create(admin: ClientAdmin, name: str, *, quiet: bool, as_json: bool, **options: Any) -> None:
    """Create the client NAME and print its key, once.

    Limits that are not given are the stack's defaults. With --rps or --quota the client gets its
    own usage plan.
    """
    issued = admin.create(name, client_limits(options), rate_limits(options))
    if as_json:
        document = {"key": issued.value, "key_id": issued.key.key_id}
        click.echo(json.dumps(document | {"client": client_json(issued.client)}, indent=2))
    else:
        print_issued_key(issued, quiet=quiet)


@keys.command("list")
@as_json
@with_client_admin
def list_(admin: ClientAdmin, *, as_json: bool) -> None:
    """List the clients with the ids of their keys."""
    clients = admin.clients.all()
    if as_json:
        click.echo(json.dumps([client_json(client) for client in clients], indent=2))
    else:
        show_clients(clients)


@keys.command()
@click.argument("client")
@as_json
@with_client_admin
def show(admin: ClientAdmin, client: str, *, as_json: bool) -> None:
    """Show CLIENT (an id or a name) and its limits."""
    found = admin.clients.find(client)
    if as_json:
        click.echo(json.dumps(client_json(found), indent=2))
        return
    show_client(found, None if found.revoked_at else admin.api_keys.plan(found.plan_id))


@keys.command()
@click.argument("client")
@click.option(
    "--overlap",
    type=Duration(),
    default="24h",
    show_default=True,
    help="Time until the old keys expire.",
)
@quiet
@with_client_admin
def rotate(admin: ClientAdmin, client: str, *, overlap: int, quiet: bool) -> None:
    """Print a new key for CLIENT, once; its other keys expire when the overlap ends.

    The authorizer's cache may accept an expired key for up to 300 s.
    """
    print_issued_key(admin.rotate(admin.clients.find(client), overlap), quiet=quiet)


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
    what = f"key {key_id}" if key_id else key_count(found)
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
    delete_expired_keys(admin)  # again: here a failure is an error
    left = sum(key.dies_at is not None for client in admin.clients.all() for key in client.keys)
    click.echo(f"No expired keys are left. Keys in their overlap: {left}.")


def client_limits(options: dict[str, Any]) -> ClientLimits:
    """Return the client's limits; UsageError for a period without a budget."""
    if options["per"] and not options["budget_nanos"]:
        raise click.UsageError("--per requires --budget-usd.")
    budget_per = (options["per"] or "month") if options["budget_nanos"] else "day"
    given = {**options, "budget_per": budget_per, "models": options["models"] or None}
    return ClientLimits(**parse_limits(given))


def rate_limits(options: dict[str, Any]) -> RateLimits:
    """Return the client's rate limits; UsageError for an incomplete limit."""
    if options["burst"] and not options["rps"]:
        raise click.UsageError("--burst requires --rps.")
    if options["quota_per"] and not options["quota"]:
        raise click.UsageError("--quota-per requires --quota.")
    return RateLimits(
        rate=options["rps"],
        burst=options["burst"],
        quota=options["quota"],
        quota_per=options["quota_per"] or "day",
    )


def print_issued_key(issued: IssuedKey, *, quiet: bool) -> None:
    """Print a new key's value, with explanations unless `quiet`."""
    if quiet:
        click.echo(issued.value)
    else:
        show_issued(issued)


def key_count(client: ClientProfile) -> str:
    """Return the number of keys in words."""
    return "1 key" if len(client.keys) == 1 else f"{len(client.keys)} keys"
