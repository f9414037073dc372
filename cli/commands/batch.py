"""`relay batch`: submit, follow and download batches."""

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from cli.aws.target_stack import stack_of, target_options
from cli.commands.batch_submit import submit
from cli.commands.keys import as_json
from cli.output.batch_tables import show_batch, show_batches
from cli.output.progress import follow, resume_hint_on_interrupt
from cli.services.batch_client import BatchClient
from cli.services.batch_results import ResultPaths, download, output_file
from llm_relay.batch.api.submit import cancel as stop
from llm_relay.batch.model.names import OPERATOR
from llm_relay.batch.model.record import ENDED

LIMIT = click.IntRange(1, 1000)


@click.group()
@target_options
def batch() -> None:
    """Submit files of requests, follow them, and download the answers."""


def with_batch_client(command: Callable[..., None]) -> Callable[..., None]:
    """Pass the stack's BatchClient to a command."""

    @target_options
    @click.pass_context
    @functools.wraps(command)
    def run(context: click.Context, /, **given: Any) -> None:
        command(BatchClient(stack_of(context)), **given)

    return run


@batch.command("list")
@click.option("--client", metavar="NAME", help="Batches of one client, by id or name.")
@click.option("--all", "of_all", is_flag=True, help="Batches of all owners; scans the table.")
@click.option("--limit", type=LIMIT, default=20, show_default=True, help="Maximum number.")
@as_json
@with_batch_client
def list_(
    batches: BatchClient, *, client: str | None, of_all: bool, limit: int, as_json: bool
) -> None:
    """List the operator's batches, newest first, or those of others."""
    if client and of_all:
        raise click.UsageError("Pass --client or --all, not both.")
    owner = batches.find_client(client).id if client else OPERATOR
    found = batches.newest(limit) if of_all else batches.newest_of(owner, limit)
    if as_json:
        click.echo(json.dumps([each.document() for each in found], indent=2))
    else:
        show_batches(found)


@batch.command()
@click.argument("id")
@as_json
@with_batch_client
def show(batches: BatchClient, *, id: str, as_json: bool) -> None:  # noqa: A002 - as users know it
    """Show the status of the batch ID.

    With --json, print the API's document. Batches of other owners are found by a scan of the table.
    """
    found = batches.find(id)
    if as_json:
        click.echo(json.dumps(found.document(), indent=2))
    else:
        show_batch(found, batches.bucket)


@batch.command()
@click.argument("id")
@with_batch_client
def cancel(batches: BatchClient, *, id: str) -> None:  # noqa: A002 - as users know it
    """Cancel the batch ID.

    Rows in progress are finished; their answers are available with 'relay batch results'.
    """
    found = batches.find(id)
    now = stop(batches.store, batches.step_functions, batches.state_machine, found.owner, found.id)
    click.echo(f"{now.id} is {now.status}.")


@batch.command()
@click.argument("id")
@click.option("--output", type=output_file, help="File for answers [default: ID.output.jsonl]")
@click.option("--errors", type=output_file, help="File for failed rows [default: ID.errors.jsonl]")
@click.option("--wait", is_flag=True, help="Wait for the batch to end.")
@click.option("--yes", is_flag=True, help="Do not ask, and replace existing files.")
@target_options
@click.pass_context
def results(context: click.Context, /, *, id: str, wait: bool, **wishes: Any) -> None:
    """Download the results of the batch ID once it has ended.

    Exit status 1 if it did not complete, or if rows failed.
    """
    batches = BatchClient(stack_of(context))
    found = batches.find(id)
    if found.status not in ENDED and not wait:
        raise click.ClickException(f"{found.id} is {found.status}: try again later, or add --wait.")
    places = ResultPaths.beside(Path(found.id), wishes["output"], wishes["errors"])
    places.make_sure(yes=wishes["yes"])
    with resume_hint_on_interrupt(context, found):
        found = follow(batches, found)
        download(batches, found, places)


batch.add_command(submit)
