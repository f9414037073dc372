"""`relay batch`: files of many requests, from here to their answers."""

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
from cli.output.progress import coming_back, follow
from cli.services.batch_client import BatchClient
from cli.services.batch_results import Places, a_file, download
from llm_relay.batch.api.submit import cancel as stop
from llm_relay.batch.model.names import OPERATOR
from llm_relay.batch.model.record import ENDED

LIMIT = click.IntRange(1, 1000)


@click.group()
@target_options
def batch() -> None:
    """Submits files of requests, follows them, and takes their answers home."""


def at_the_batch_desk(command: Callable[..., None]) -> Callable[..., None]:
    """Makes a command begin at the desk where the batches of its stack are known."""

    @target_options
    @click.pass_context
    @functools.wraps(command)
    def run(context: click.Context, /, **given: Any) -> None:
        command(BatchClient(stack_of(context)), **given)

    return run


@batch.command("list")
@click.option("--client", metavar="NAME", help="Those of one client, by its id or name.")
@click.option("--all", "of_all", is_flag=True, help="Those of all owners; reads the whole table.")
@click.option("--limit", type=LIMIT, default=20, help="So many at the most, the newest; else 20.")
@as_json
@at_the_batch_desk
def list_(
    desk: BatchClient, *, client: str | None, of_all: bool, limit: int, as_json: bool
) -> None:
    """Lists the operator's own batches, the newest first, or those of others."""
    if client and of_all:
        raise click.UsageError("--client and --all exclude each other.")
    owner = desk.known(client).id if client else OPERATOR
    found = desk.newest(limit) if of_all else desk.newest_of(owner, limit)
    if as_json:
        click.echo(json.dumps([each.document() for each in found], indent=2))
    else:
        show_batches(found)


@batch.command()
@click.argument("id")
@as_json
@at_the_batch_desk
def show(desk: BatchClient, *, id: str, as_json: bool) -> None:  # noqa: A002 - as users know it
    """Shows how far the batch ID is.

    With --json it is the document that the API answers. An id that is not among the operator's
    own batches is looked for in the whole table.
    """
    found = desk.find(id)
    if as_json:
        click.echo(json.dumps(found.document(), indent=2))
    else:
        show_batch(found, desk.bucket)


@batch.command()
@click.argument("id")
@at_the_batch_desk
def cancel(desk: BatchClient, *, id: str) -> None:  # noqa: A002 - as users know it
    """Stops the batch ID.

    Rows under way are finished, and what was answered can be had with 'relay batch results'.
    """
    found = desk.find(id)
    now = stop(desk.store, desk.step_functions, desk.state_machine, found.owner, found.id)
    click.echo(f"{now.id} is {now.status}.")


@batch.command()
@click.argument("id")
@click.option("--output", type=a_file, help="Where answers go; else ID.output.jsonl.")
@click.option("--errors", type=a_file, help="Where failed rows go; else ID.errors.jsonl.")
@click.option("--wait", is_flag=True, help="Wait for its end first.")
@click.option("--yes", is_flag=True, help="Ask nothing, and replace what is there.")
@target_options
@click.pass_context
def results(context: click.Context, /, *, id: str, wait: bool, **wishes: Any) -> None:
    """Downloads what came of the batch ID, once it has ended.

    Ends with 1 if it did not complete, or if rows of it failed.
    """
    desk = BatchClient(stack_of(context))
    found = desk.find(id)
    if found.status not in ENDED and not wait:
        raise click.ClickException(f"{found.id} is {found.status}: try again later, or add --wait.")
    places = Places.beside(Path(found.id), wishes["output"], wishes["errors"])
    places.make_sure(yes=wishes["yes"])
    with coming_back(context, found):
        found = follow(desk, found)
        download(desk, found, places)


batch.add_command(submit)
