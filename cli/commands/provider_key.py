"""`relay provider-key`: the key that the relay calls the provider with."""

import json
from datetime import UTC, datetime
from functools import partial
from typing import IO

import click

from cli.aws.target_stack import stack_of, target_options
from cli.output.tables import NONE, add_row, screen, table_of
from cli.services.key_proof import prove
from cli.services.provider_secret import ProviderSecret, Version, keys_in, secret_of

UNITS = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))


@click.group("provider-key")
@target_options
def provider_key() -> None:
    """Replaces the provider's key without a failed call, or says what is stored."""


@provider_key.command("set")
@click.option(
    "--file",
    type=click.File(errors="replace"),
    default="-",
    help="Holds the key; else stdin, or a prompt.",
)
@click.option("--add", is_flag=True, help="Keep the keys that are there, and use all in turn.")
@click.option("--model", metavar="ID", help="The model to prove the key with.")
@target_options
@click.pass_context
def set_(context: click.Context, *, file: IO[str], add: bool, model: str | None) -> None:
    """Proves a key with one small call to the provider, and only then makes it the current one.

    The old key must go on working until this is done: warm functions take the new one up when the
    old one is refused, or within 300 s.
    """
    stack = stack_of(context)
    secret, key = secret_of(stack), read_key(file)
    current = secret.current()
    kept = keys_in(current.text) if current and add else []
    keys = [*(each for each in kept if each != key), key]
    text = json.dumps({"api_keys": keys} if add else {"api_key": key})
    if current is None:  # a secret's first version is current at once, so it is proven before
        answered = prove(stack, key, model)
        secret.put(text)
    else:
        with secret.staged(text) as version_id:
            answered = prove(stack, key, model)
            secret.promote(version_id, instead_of=current.version_id)
    click.echo(f"{answered} answered to the key, which is current now ({count(keys)} stored).")
    click.echo("Warm functions use it within 300 s, or when the provider refuses what they have.")


@provider_key.command()
@target_options
@click.pass_context
def show(context: click.Context) -> None:
    """Says how many keys are stored and how old they are; never a key."""
    secret = secret_of(stack_of(context))
    current = secret.current()
    if current is None:
        click.echo("No key is stored yet. Put one in: relay provider-key set")
        return
    click.echo(f"{count(keys_in(current.text))} stored.")
    show_versions(secret)


def read_key(file: IO[str]) -> str:
    """The key from a file, from stdin or from whoever sits there; a ClickException if it is none.

    No message may repeat it.
    """
    asked = partial(click.prompt, "Provider key", hide_input=True, err=True)
    key = str(asked() if file.isatty() else file.read()).strip()
    if not key or not key.isascii() or not key.isprintable() or {*key} & {*' {"'}:
        raise click.ClickException("That is no key: give the bare key, on one line.")
    return key


def show_versions(secret: ProviderSecret) -> None:
    """A table of the secret's versions."""
    table = table_of("Version", "Stage", "Created", "Age")
    for version in secret.versions():
        stages = ", ".join(version.stages)
        created = version.created_at
        when = f"{created.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if created else NONE
        add_row(table, version.id, stages, when, age(version))
    screen().print(table)


def age(version: Version) -> str:
    """How long ago a version was made, in its largest unit."""
    if version.created_at is None:
        return NONE
    seconds = max(0, int((datetime.now(UTC) - version.created_at).total_seconds()))
    size, name = next((unit for unit in UNITS if seconds >= unit[0]), UNITS[-1])
    return f"{seconds // size} {name}"


def count(keys: list[str]) -> str:
    """How many keys, in words."""
    return "1 key" if len(keys) == 1 else f"{len(keys)} keys"
