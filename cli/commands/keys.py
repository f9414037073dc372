"""`relay keys`: who may call, and how much."""

import functools
import json
from collections.abc import Callable
from typing import Any

import click

from cli.aws.api_keys import Limits
from cli.aws.target_stack import stack_of, target_options
from cli.commands.option_types import ClientName, Duration, Model, Usd
from cli.output.tables import client_json, show_client, show_clients, show_issued
from cli.services.client_admin import ClientAdmin, Issued
from cli.services.clients import Client, Terms

PERIODS = click.Choice(["day", "week", "month"])
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
quiet = click.option("--quiet", is_flag=True, help="Print the key's value and nothing else.")


@click.group()
@target_options
def keys() -> None:
    """Makes, shows, replaces and takes back client keys."""


def at_the_desk(command: Callable[..., None]) -> Callable[..., None]:
    """Makes a command begin at the desk of its stack, once dead keys are cleared away."""

    @target_options
    @click.pass_context
    @functools.wraps(command)
    def run(context: click.Context, /, **given: Any) -> None:
        from botocore.exceptions import ClientError  # noqa: PLC0415 - late, as boto3

        from cli.aws.errors import explain  # noqa: PLC0415 - imports botocore

        desk = ClientAdmin(stack_of(context))
        try:
            clear_away(desk)
        except ClientError as error:  # somebody who may look and not delete can still look
            click.echo(f"Dead keys could not be deleted. {explain(error)}", err=True)
        command(desk, **given)

    return run


def clear_away(desk: ClientAdmin) -> None:
    """Deletes the keys whose overlap has ended, and says so on stderr."""
    for client, key in desk.prune():
        click.echo(f"Deleted key {key.key_id} of {client.name}: its overlap has ended.", err=True)


@keys.command()
@click.argument("name", type=ClientName())
@click.option("--budget-usd", "budget_nanos", type=Usd(), help="What its calls may cost.")
@click.option("--per", type=click.Choice(["day", "month"]), help="Of the budget; else month.")
@click.option("--rps", type=click.FloatRange(min=0, min_open=True), help="Requests per second.")
@click.option("--burst", type=click.IntRange(min=1), help="Requests at once; else twice --rps.")
@click.option("--quota", type=click.IntRange(min=1), help="Requests per --quota-per.")
@click.option("--quota-per", type=PERIODS, help="Of the quota; else day.")
@click.option("--model", "models", type=Model(), multiple=True, help="One it may use; else all.")
@click.option("--max-output-tokens", type=click.IntRange(min=1), help="Longest answer it may get.")
@quiet
@as_json
@at_the_desk
def create(desk: ClientAdmin, name: str, *, quiet: bool, as_json: bool, **wishes: Any) -> None:
    """Makes a client called NAME and prints its key, once.

    A limit that is not given is the stack's own: with --rps or --quota the client gets a usage plan
    of its own, which takes the rest from the stack's.
    """
    issued = desk.create(name, terms_in(wishes), limits_in(wishes))
    if as_json:
        document = {"key": issued.value, "key_id": issued.key.key_id}
        click.echo(json.dumps(document | {"client": client_json(issued.client)}, indent=2))
    else:
        tell(issued, quiet=quiet)


@keys.command("list")
@as_json
@at_the_desk
def list_(desk: ClientAdmin, *, as_json: bool) -> None:
    """Lists the clients with their keys' ids."""
    clients = desk.clients.all()
    if as_json:
        click.echo(json.dumps([client_json(client) for client in clients], indent=2))
    else:
        show_clients(clients)


@keys.command()
@click.argument("client")
@as_json
@at_the_desk
def show(desk: ClientAdmin, client: str, *, as_json: bool) -> None:
    """Shows what CLIENT, an id or a name, may do."""
    found = desk.clients.find(client)
    if as_json:
        click.echo(json.dumps(client_json(found), indent=2))
        return
    show_client(found, None if found.revoked_at else desk.api_keys.plan(found.plan_id))


@keys.command()
@click.argument("client")
@click.option(
    "--overlap", type=Duration(), default="24h", help="How long the old keys live on; else 24h."
)
@quiet
@at_the_desk
def rotate(desk: ClientAdmin, client: str, *, overlap: int, quiet: bool) -> None:
    """Prints a further key for CLIENT, once; its other keys die when the overlap ends.

    The authorizer's cache lets a dead key pass for up to 300 s more.
    """
    tell(desk.rotate(desk.clients.find(client), overlap), quiet=quiet)


@keys.command()
@click.argument("client", required=False)
@click.option("--key", "key_id", metavar="KEY_ID", help="One key alone, by its id.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@at_the_desk
def revoke(desk: ClientAdmin, client: str | None, *, key_id: str | None, yes: bool) -> None:
    """Takes back all keys of CLIENT, or the one of --key, at once."""
    if (client is None) == (key_id is None):
        raise click.UsageError("Name a client, or a key with --key; one of the two.")
    found = desk.clients.find(client) if client else desk.clients.with_key(key_id or "")
    what = f"key {key_id}" if key_id else count(found)
    if not yes:
        click.confirm(f"Revoke {what} of {found.name} ({found.id})?", abort=True, err=True)
    if key_id:
        desk.revoke_key(found, key_id)
    else:
        desk.revoke(found)
    click.echo(f"Revoked {what} of {found.name} ({found.id}).")


@keys.command()
@at_the_desk
def prune(desk: ClientAdmin) -> None:
    """Deletes the keys whose overlap has ended, as every command on keys and usage does first."""
    clear_away(desk)  # again: here it may not fail in passing
    left = sum(key.dies_at is not None for client in desk.clients.all() for key in client.keys)
    click.echo(f"No dead key is left. In their overlap: {left}.")


def terms_in(wishes: dict[str, Any]) -> Terms:
    """What a client may do; a UsageError for a period without its budget."""
    if wishes["per"] and not wishes["budget_nanos"]:
        raise click.UsageError("--per goes with --budget-usd.")
    return Terms(
        budget_nanos=wishes["budget_nanos"],
        budget_per=(wishes["per"] or "month") if wishes["budget_nanos"] else None,
        models=wishes["models"],
        max_output_tokens=wishes["max_output_tokens"],
    )


def limits_in(wishes: dict[str, Any]) -> Limits:
    """How often a client may call; a UsageError for half a limit."""
    if wishes["burst"] and not wishes["rps"]:
        raise click.UsageError("--burst goes with --rps.")
    if wishes["quota_per"] and not wishes["quota"]:
        raise click.UsageError("--quota-per goes with --quota.")
    return Limits(
        rate=wishes["rps"],
        burst=wishes["burst"],
        quota=wishes["quota"],
        quota_per=wishes["quota_per"] or "day",
    )


def tell(issued: Issued, *, quiet: bool) -> None:
    """Prints a new key's value: for a script alone, else with what to know about it."""
    if quiet:
        click.echo(issued.value)
    else:
        show_issued(issued)


def count(client: Client) -> str:
    """How many keys a client has, in words."""
    return "1 key" if len(client.keys) == 1 else f"{len(client.keys)} keys"
