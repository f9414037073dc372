"""`relay provider-key`: the key for the provider."""

import json
from datetime import UTC, datetime
from functools import partial
from typing import IO

import click

from cli.aws.target_stack import target_options, target_stack
from cli.output.tables import NONE, console, counted, table_of
from cli.services.provider_key import ProviderSecret, verify_key
from llm_relay.providers.key_pool import keys_in

KEY_FILE = click.File(errors="replace")
FILE_HELP = "Key file [default: stdin, or a prompt]"
UNITS = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))


@click.group("provider-key")
@target_options
def provider_key() -> None:
    """Replace the provider's key without failed calls, or show what is stored."""


@provider_key.command("set")
@click.option("--file", type=KEY_FILE, default="-", show_default=False, help=FILE_HELP)
@click.option("--add", is_flag=True, help="Keep the stored keys, and use all in rotation.")
@click.option("--model", metavar="ID", help="Model to verify the key with.")
@target_options
def set_(*, file: IO[str], add: bool, model: str | None) -> None:
    """Verify a key with one small call to the provider, then make it current.

    The old key must work until then: warm functions use the new key within 300 s, or when the
    provider rejects the old one.
    """
    stack = target_stack()
    secret, key = ProviderSecret(stack), _read_key(file)
    current = secret.current()
    stored = keys_in(current.get("SecretString")) if current and add else []
    keys = [*(each for each in stored if each != key), key]
    text = json.dumps({"api_keys": keys} if add else {"api_key": key})
    if current is None:  # a secret's first version is current immediately: verify it first
        answered = verify_key(stack, key, model)
        secret.put(text)
    else:
        with secret.staged(text) as version_id:
            answered = verify_key(stack, key, model)
            secret.promote(version_id, instead_of=current["VersionId"])
    number = counted(len(keys), "key")
    click.echo(f"{answered} accepted the key, which is now current ({number} stored).")
    click.echo("Warm functions use it within 300 s, or when the provider rejects their key.")


@provider_key.command()
@target_options
def show() -> None:
    """Show how many keys are stored and their age; never a key."""
    secret = ProviderSecret(target_stack())
    current = secret.current()
    if current is None:
        click.echo("No key is stored yet. Store one: relay provider-key set")
        return
    click.echo(f"{counted(len(keys_in(current.get('SecretString'))), 'key')} stored.")
    table = table_of("Version", "Stage", "Created", "Age")
    for version in secret.versions():
        stages = ", ".join(version["VersionStages"])
        table.add_row(version["VersionId"], stages, *_dates(secret.created(version, current)))
    console().print(table)


def _read_key(file: IO[str]) -> str:
    """Read the key from a file, stdin or a prompt; messages never repeat it."""
    asked = partial(click.prompt, "Provider key", hide_input=True, err=True)
    key = str(asked() if file.isatty() else file.read()).strip()
    if not key or not key.isascii() or not key.isprintable() or {*key} & {*' {"'}:
        raise click.ClickException("That is not a key: enter only the key, on one line.")
    return key


def _dates(created: datetime | None) -> tuple[str, str]:
    """Return the cells of a version's creation and age."""
    if created is None:
        return NONE, NONE
    return f"{created.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}", _age(created)


def _age(created: datetime) -> str:
    """Return an age in its largest unit."""
    seconds = max(0, int((datetime.now(UTC) - created).total_seconds()))
    size, name = next((unit for unit in UNITS if seconds >= unit[0]), UNITS[-1])
    return f"{seconds // size} {name}"
