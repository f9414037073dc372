"""`relay batch submit`: validate, confirm, upload and follow a file."""

import sys
import time
from pathlib import Path
from typing import Any

import click

from cli.aws.target_stack import flags_of, stack_of, target_options
from cli.commands.batch_metadata import Pair, parse_metadata
from cli.output.batch_tables import print_facts, stderr_console
from cli.output.progress import bytes_bar, follow, resume_hint_on_interrupt, resume_hints
from cli.services.batch_check import check_requests, token_prices
from cli.services.batch_client import BatchClient, caller_of
from cli.services.batch_results import ResultPaths, confirm, download, output_file
from llm_relay.batch.api.submit import submit as start
from llm_relay.batch.model import names
from llm_relay.batch.model.record import WINDOW_SECONDS, Batch, StoredFile, retention_seconds
from llm_relay.core.client import Client

ENDPOINTS = click.Choice(["/v1/chat/completions", "/v1/responses"])
PRICE = click.FloatRange(min=0)


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--endpoint", type=ENDPOINTS, help="Endpoint of all rows [default: the first row's url]"
)
@click.option("--yes", is_flag=True, help="Do not ask, and replace existing files.")
@click.option("--wait/--no-wait", default=None, help="Wait for the end [default: on a terminal]")
@click.option("--output", type=output_file, help="File for answers [default: beside FILE]")
@click.option("--errors", type=output_file, help="File for failed rows [default: beside FILE]")
@click.option("--client", metavar="NAME", help="Client whose budget and limits apply.")
@click.option(
    "--metadata", type=Pair(), multiple=True, callback=parse_metadata, help="Metadata; repeatable."
)
@click.option("--price-in", type=PRICE, help="USD per million input tokens.")
@click.option("--price-out", type=PRICE, help="USD per million output tokens.")
@target_options
@click.pass_context
def submit(context: click.Context, /, *, file: Path, **wishes: Any) -> None:
    """Run every request in FILE, one JSON object per line, and download the answers.

    Every line is validated locally, and the estimate confirmed, before anything is uploaded.
    Without waiting, stdout gets only the batch's id. Exit status 1 if a row failed.
    """
    batches, places = BatchClient(stack_of(context)), result_paths(file, wishes)
    if places:
        places.make_sure(file, yes=wishes["yes"])
    owner, caller = owner_and_client(batches, wishes["client"])
    prices = token_prices(batches.stack, wishes["price_in"], wishes["price_out"])
    found = check_requests(file, wishes["endpoint"], caller, batches.stack, prices.listed)
    print_facts(found.estimate.facts(prices), stderr_console())
    confirm("Submit it?", yes=wishes["yes"])
    batch = new_batch(owner, caller, found.endpoint, wishes["metadata"])
    batch = upload_and_start(batches, file, batch)
    click.echo(batch.id)
    if places is None:
        click.echo(resume_hints(batch, flags_of(context)), err=True)
        return
    with resume_hint_on_interrupt(context, batch):
        batch = follow(batches, batch)
        download(batches, batch, places)


def result_paths(file: Path, wishes: dict[str, Any]) -> ResultPaths | None:
    """Return the paths of results, or None without waiting."""
    are_named = bool(wishes["output"] or wishes["errors"])
    if wishes["wait"] is False and are_named:
        raise click.UsageError("--output and --errors require --wait.")
    waits = (are_named or sys.stdout.isatty()) if wishes["wait"] is None else wishes["wait"]
    stem = file.with_suffix("") if file.suffix == ".jsonl" else file
    return ResultPaths.beside(stem, wishes["output"], wishes["errors"]) if waits else None


def owner_and_client(batches: BatchClient, name: str | None) -> tuple[str, Client]:
    """Return the batch's owner and client; ClickException for a revoked client."""
    if name is None:
        return names.OPERATOR, Client(id="", key_id=names.OPERATOR)
    client = batches.find_client(name)
    if client.revoked_at is not None:
        raise click.ClickException(f"{client.name} is revoked: choose another client.")
    return client.id, caller_of(client)


def new_batch(owner: str, caller: Client, endpoint: str, metadata: dict[str, str]) -> Batch:
    """Return a new batch, not yet stored."""
    now, batch_id, file_id = int(time.time()), names.new_id("batch_"), names.new_id("file-")
    return Batch(
        id=batch_id,
        owner=owner,
        client=caller,
        endpoint=endpoint,
        input_file_id=file_id,
        input_key=names.upload_key(owner, file_id),
        results=names.batch_prefix(batch_id),
        created_at=now,
        expires_at=now + WINDOW_SECONDS,
        metadata=metadata or None,
    )


def upload_and_start(batches: BatchClient, path: Path, batch: Batch) -> Batch:
    """Upload a file and start its batch; return the batch."""
    size = path.stat().st_size
    with path.open("rb") as file, bytes_bar("Uploading", size) as count:
        batches.s3.upload_fileobj(file, batches.bucket, batch.input_key, Callback=count)
    batches.store.add(
        StoredFile(
            id=batch.input_file_id,
            owner=batch.owner,
            filename=path.name,
            bytes=size,
            key=batch.input_key,
            created_at=batch.created_at,
            expires_at=batch.created_at + retention_seconds(days=batches.retention_days),
        )
    )
    return start(batches.store, batches.step_functions, batches.state_machine, batch)
