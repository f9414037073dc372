"""`relay batch`: submit, follow and download batches."""

from pathlib import Path
from typing import Any

import click

from cli.aws.target_stack import stack_of, target_options
from cli.commands.batch_submit import submit
from cli.commands.option_types import json_option, output_file
from cli.output.batch_tables import show_batch, show_batches
from cli.output.progress import follow, resume_hint_on_interrupt
from cli.output.tables import print_json
from cli.services.batch_client import BatchClient
from cli.services.batch_results import ResultPaths, download
from cli.services.clients import ClientProfiles
from llm_relay.batch.model.names import OPERATOR
from llm_relay.batch.model.record import ENDED

LIMIT = click.IntRange(1, 1000)


@click.group()
@target_options
def batch() -> None:
    """Submit files of requests, follow them, and download the answers."""


@batch.command("list")
@click.option("--client", metavar="NAME", help="Batches of one client, by id or name.")
@click.option("--all", "of_all", is_flag=True, help="Batches of all owners; scans the table.")
@click.option("--limit", type=LIMIT, default=20, show_default=True, help="Maximum number.")
@json_option
@target_options
@click.pass_context
def list_(
    context: click.Context, *, client: str | None, of_all: bool, limit: int, as_json: bool
) -> None:
    """List the operator's batches, newest first, or those of others."""
    if client and of_all:
        raise click.UsageError("Pass --client or --all, not both.")
    stack = stack_of(context)
    owner = ClientProfiles(stack.clients_table()).find(client).id if client else OPERATOR
    batches = BatchClient(stack)
    found = batches.newest(limit) if of_all else batches.newest_of(owner, limit)
    if as_json:
        print_json([each.document() for each in found])
    else:
        show_batches(found)


@batch.command()
@click.argument("id")
@json_option
@target_options
@click.pass_context
def show(context: click.Context, /, *, id: str, as_json: bool) -> None:  # noqa: A002 - users' name
    """Show the status of the batch ID.

    With --json, print the API's document. Batches of other owners are found by a scan of the table.
    """
    batches = BatchClient(stack_of(context))
    found = batches.find(id)
    if as_json:
        print_json(found.document())
    else:
        show_batch(found, batches.bucket)


@batch.command()
@click.argument("id")
@target_options
@click.pass_context
def cancel(context: click.Context, /, *, id: str) -> None:  # noqa: A002 - users' name
    """Cancel the batch ID.

    Rows in progress are finished; their answers are available with 'relay batch results'.
    """
    batches = BatchClient(stack_of(context))
    cancelled = batches.cancel(batches.find(id))
    click.echo(f"{cancelled.id} is {cancelled.status}.")


@batch.command()
@click.argument("id")
@click.option("--output", type=output_file, help="File for answers [default: ID.output.jsonl]")
@click.option("--errors", type=output_file, help="File for failed rows [default: ID.errors.jsonl]")
@click.option("--wait", is_flag=True, help="Wait for the batch to end.")
@click.option("--yes", is_flag=True, help="Do not ask, and replace existing files.")
@target_options
@click.pass_context
def results(context: click.Context, /, *, id: str, wait: bool, yes: bool, **files: Any) -> None:
    """Download the results of the batch ID once it has ended.

    Exit status 1 if it did not complete, or if rows failed.
    """
    batches = BatchClient(stack_of(context))
    found = batches.find(id)
    if found.status not in ENDED and not wait:
        raise click.ClickException(f"{found.id} is {found.status}: try again later, or add --wait.")
    paths = ResultPaths.beside(Path(found.id), **files)
    paths.confirm_replacing(yes=yes)
    with resume_hint_on_interrupt(context, found):
        found = follow(batches, found)
        download(batches, found, paths)


batch.add_command(submit)
