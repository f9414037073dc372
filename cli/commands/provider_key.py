"""`relay provider-key`: the key for the provider."""

import json
from datetime import UTC, datetime
from functools import partial
from typing import IO

import click

from cli.aws.target_stack import stack_of, target_options
from cli.output.tables import NONE, add_row, console, table_of
from cli.services.key_proof import verify_key
from cli.services.provider_secret import ProviderSecret, Version, keys_in, secret_of

UNITS = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))


@click.group("provider-key")
@target_options
def provider_key() -> None:
    """Replace the provider's key without failed calls, or show what is stored."""


@provider_key.command("set")
@click.option(
    "--file",
    type=click.File(errors="replace"),
    default="-",
    help="File with the key [default: stdin, or a prompt]",
)
@click.option("--add", is_flag=True, help="Keep the stored keys, and use all in rotation.")
@click.option("--model", metavar="ID", help="Model to verify the key with.")
@target_options
@click.pass_context
def set_(context: click.Context, *, file: IO[str], add: bool, model: str | None) -> None:
    """Verify a key with one small call to the provider, then make it current.

    The old key must work until then: warm functions use the new key within 300 s, or when the
    provider rejects the old one.
    """
    stack = stack_of(context)
    secret, key = secret_of(stack), read_key(file)
    current = secret.current()
    kept = keys_in(current.text) if current and add else []
    keys = [*(each for each in kept if each != key), key]
    text = json.dumps({"api_keys": keys} if add else {"api_key": key})
    if current is None:  # a secret's first version is current immediately: verify it first
        answered = verify_key(stack, key, model)
        secret.put(text)
    else:
        with secret.staged(text) as version_id:
            answered = verify_key(stack, key, model)
            secret.promote(version_id, instead_of=current.version_id)
    click.echo(f"{answered} accepted the key, which is now current ({count(keys)} stored).")
    click.echo("Warm functions use it within 300 s, or when the provider rejects their key.")


@provider_key.command()
@target_options
@click.pass_context
def show(context: click.Context) -> None:
    """Show how many keys are stored and their age; never a key."""
    secret = secret_of(stack_of(context))
    current = secret.current()
    if current is None:
        click.echo("No key is stored yet. Store one: relay provider-key set")
        return
    click.echo(f"{count(keys_in(current.text))} stored.")
    show_versions(secret)


def read_key(file: IO[str]) -> str:
    """Read the key from a file, stdin or a prompt; ClickException for an invalid key.

    Messages never repeat it.
    """
    asked = partial(click.prompt, "Provider key", hide_input=True, err=True)
    key = str(asked() if file.isatty() else file.read()).strip()
    if not key or not key.isascii() or not key.isprintable() or {*key} & {*' {"'}:
        raise click.ClickException("That is not a key: enter only the key, on one line.")
    return key


def show_versions(secret: ProviderSecret) -> None:
    """Print a table of the secret's versions."""
    table = table_of("Version", "Stage", "Created", "Age")
    for version in secret.versions():
        stages = ", ".join(version.stages)
        created = version.created_at
        when = f"{created.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if created else NONE
        add_row(table, version.id, stages, when, age(version))
    console().print(table)


def age(version: Version) -> str:
    """Return a version's age in its largest unit."""
    if version.created_at is None:
        return NONE
    seconds = max(0, int((datetime.now(UTC) - version.created_at).total_seconds()))
    size, name = next((unit for unit in UNITS if seconds >= unit[0]), UNITS[-1])
    return f"{seconds // size} {name}"


def count(keys: list[str]) -> str:
    """Return a number of keys in words."""
    return "1 key" if len(keys) == 1 else f"{len(keys)} keys"
