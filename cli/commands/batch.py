"""`relay batch`: submit, follow and download batches."""

import sys
import time
from pathlib import Path
from typing import Any

import click

from cli.aws.target_stack import Stack, target_options, target_stack
from cli.commands.option_types import json_option, metadata, output_file
from cli.output.batch_tables import show_batch, show_batches
from cli.output.progress import bytes_bar, follow, resume_hint_on_interrupt, resume_hints
from cli.output.tables import print_facts, print_json
from cli.services.batch_check import check_requests, token_prices
from cli.services.batch_client import BatchClient
from cli.services.batch_results import ResultPaths, confirm, download
from cli.services.clients import ClientProfiles
from llm_relay.batch.model import names
from llm_relay.batch.model.record import ENDED, WINDOW_SECONDS, Batch
from llm_relay.core.client import Client

LIMIT = click.IntRange(1, 1000)
ENDPOINTS = click.Choice(["/v1/chat/completions", "/v1/responses"])
PRICE = click.FloatRange(min=0)
METADATA = "Metadata; repeatable."


@click.group()
@target_options
def batch() -> None:
    """Submit files of requests, follow them, and download the answers."""


@batch.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--endpoint", type=ENDPOINTS, help="Endpoint of all rows [default: first row's url]")
@click.option("--yes", is_flag=True, help="Do not ask, and replace existing files.")
@click.option("--wait/--no-wait", default=None, help="Wait for the end [default: on a terminal]")
@click.option("--output", type=output_file, help="File for answers [default: beside FILE]")
@click.option("--errors", type=output_file, help="File for failed rows [default: beside FILE]")
@click.option("--client", metavar="NAME", help="Client whose budget and limits apply.")
@click.option("--metadata", metavar="NAME=TEXT", multiple=True, callback=metadata, help=METADATA)
@click.option("--price-in", type=PRICE, help="USD per million input tokens.")
@click.option("--price-out", type=PRICE, help="USD per million output tokens.")
@target_options
def submit(*, file: Path, **options: Any) -> None:
    """Run every request in FILE, one JSON object per line, and download the answers.

    Every line is validated locally, and the estimate confirmed, before anything is uploaded. The
    typical cost assumes answers of 500 tokens, or of the row's limit where that is lower.
    Without waiting, stdout gets only the batch's id. Exit status 1 if a row failed.
    """
    stack, paths = target_stack(), _result_paths(file, options)
    batches = BatchClient(stack)
    if paths:
        paths.confirm_replacing(file, yes=options["yes"])
    owner, client = _owner_and_client(stack, options["client"])
    prices = token_prices(stack, options["price_in"], options["price_out"])
    endpoint, estimate = check_requests(file, options["endpoint"], client, prices)
    print_facts(estimate, stderr=True)
    confirm("Submit it?", yes=options["yes"])
    new = _new_batch(owner, client, endpoint, options["metadata"])
    batch = _upload_and_start(batches, file, new)
    click.echo(batch.id)
    if paths is None:
        click.echo(resume_hints(batch), err=True)
        return
    with resume_hint_on_interrupt(batch):
        download(batches, follow(batches, batch), paths)


@batch.command("list")
@click.option("--client", metavar="NAME", help="Batches of one client, by id or name.")
@click.option("--all", "of_all", is_flag=True, help="Batches of all owners; scans the table.")
@click.option("--limit", type=LIMIT, default=20, help="Maximum number.")
@json_option
@target_options
def list_(*, client: str | None, of_all: bool, limit: int, as_json: bool) -> None:
    """List the operator's batches, newest first, or those of others."""
    if client and of_all:
        raise click.UsageError("Pass --client or --all, not both.")
    stack = target_stack()
    owner = ClientProfiles(stack).find(client).id if client else names.OPERATOR
    batches = BatchClient(stack)
    found = batches.newest(limit) if of_all else batches.newest_of(owner, limit)
    if as_json:
        print_json([each.document() for each in found])
    else:
        show_batches(found)


@batch.command()
@click.argument("batch_id", metavar="ID")
@json_option
@target_options
def show(*, batch_id: str, as_json: bool) -> None:
    """Show the status of the batch ID.

    With --json, print the API's document. Batches of other owners are found by a scan of the table.
    """
    batches = BatchClient(target_stack())
    found = batches.find(batch_id)
    if as_json:
        print_json(found.document())
    else:
        show_batch(found, batches.bucket)


@batch.command()
@click.argument("batch_id", metavar="ID")
@target_options
def cancel(*, batch_id: str) -> None:
    """Cancel the batch ID.

    Rows in progress are finished; their answers are available with 'relay batch results'.
    """
    batches = BatchClient(target_stack())
    cancelled = batches.cancel(batches.find(batch_id))
    click.echo(f"{cancelled.id} is {cancelled.status}.")


@batch.command()
@click.argument("batch_id", metavar="ID")
@click.option("--output", type=output_file, help="File for answers [default: ID.output.jsonl]")
@click.option("--errors", type=output_file, help="File for failed rows [default: ID.errors.jsonl]")
@click.option("--wait", is_flag=True, help="Wait for the batch to end.")
@click.option("--yes", is_flag=True, help="Do not ask, and replace existing files.")
@target_options
def results(*, batch_id: str, wait: bool, yes: bool, **files: Any) -> None:
    """Download the results of the batch ID once it has ended.

    Exit status 1 if it did not complete, or if rows failed.
    """
    batches = BatchClient(target_stack())
    found = batches.find(batch_id)
    if found.status not in ENDED and not wait:
        raise click.ClickException(f"{found.id} is {found.status}: try again later, or add --wait.")
    paths = ResultPaths.beside(Path(found.id), **files)
    paths.confirm_replacing(yes=yes)
    with resume_hint_on_interrupt(found):
        download(batches, follow(batches, found), paths)


def _result_paths(file: Path, options: dict[str, Any]) -> ResultPaths | None:
    """Return the paths of results, or None without waiting."""
    output, errors, wait = options["output"], options["errors"], options["wait"]
    are_named = bool(output or errors)
    if wait is False and are_named:
        raise click.UsageError("--output and --errors require --wait.")
    if wait is None:
        wait = are_named or sys.stdout.isatty()
    stem = file.with_suffix("") if file.suffix == ".jsonl" else file
    return ResultPaths.beside(stem, output, errors) if wait else None


def _owner_and_client(stack: Stack, name: str | None) -> tuple[str, Client]:
    """Return the batch's owner and client; ClickException for a revoked client."""
    if name is None:
        return names.OPERATOR, Client(id="", key_id=names.OPERATOR)
    profile = ClientProfiles(stack).find(name)
    if profile.revoked_at is not None:
        raise click.ClickException(f"{profile.name} is revoked: choose another client.")
    return profile.id, profile.as_caller()


def _new_batch(owner: str, client: Client, endpoint: str, metadata: dict[str, str]) -> Batch:
    now, batch_id, file_id = int(time.time()), names.new_id("batch_"), names.new_id("file-")
    return Batch(
        id=batch_id,
        owner=owner,
        client=client,
        endpoint=endpoint,
        input_file_id=file_id,
        input_key=names.upload_key(owner, file_id),
        results=names.batch_prefix(batch_id),
        created_at=now,
        expires_at=now + WINDOW_SECONDS,
        metadata=metadata or None,
    )


def _upload_and_start(batches: BatchClient, path: Path, batch: Batch) -> Batch:
    size, s3 = path.stat().st_size, batches.stack.client("s3")
    with path.open("rb") as file, bytes_bar("Uploading", size) as count:
        s3.upload_fileobj(file, batches.bucket, batch.input_key, Callback=count)
    return batches.submit(batch, path.name, size)
