"""`relay batch submit`: a file is checked, agreed to, sent, and followed to its end."""

import sys
import time
from pathlib import Path
from typing import Any

import click

from cli.aws.target_stack import flags_of, stack_of, target_options
from cli.commands.batch_metadata import Pair, notes
from cli.output.batch_tables import aside, print_facts
from cli.output.progress import bytes_bar, coming_back, follow, ways_back
from cli.services.batch_check import checked, prices_of
from cli.services.batch_client import BatchClient, caller_of
from cli.services.batch_results import Places, a_file, agree, download
from llm_relay.batch.api.submit import submit as start
from llm_relay.batch.model import names
from llm_relay.batch.model.record import WINDOW_SECONDS, Batch, StoredFile, retention_seconds
from llm_relay.core.client import Client

ENDPOINTS = click.Choice(["/v1/chat/completions", "/v1/responses"])
PRICE = click.FloatRange(min=0)


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--endpoint", type=ENDPOINTS, help="Of all rows; else the first row's url.")
@click.option("--yes", is_flag=True, help="Ask nothing, and replace what is there.")
@click.option("--wait/--no-wait", default=None, help="Else it waits on a terminal.")
@click.option("--output", type=a_file, help="Where answers go; else beside FILE.")
@click.option("--errors", type=a_file, help="Where failed rows go; else beside FILE.")
@click.option("--client", metavar="NAME", help="Whose batch it is, with its budget and limits.")
@click.option("--metadata", type=Pair(), multiple=True, callback=notes, help="A note, repeatable.")
@click.option("--price-in", type=PRICE, help="USD per million tokens of input.")
@click.option("--price-out", type=PRICE, help="USD per million tokens of answers.")
@target_options
@click.pass_context
def submit(context: click.Context, /, *, file: Path, **wishes: Any) -> None:
    """Runs every request in FILE, one JSON object per line, and brings the answers back.

    Nothing is sent before every line is checked here and somebody agrees to the estimate. The
    batch's id is all that stdout gets, unless it waits. It ends with 1 if a row failed.
    """
    desk, places = BatchClient(stack_of(context)), places_for(file, wishes)
    if places:
        places.make_sure(file, yes=wishes["yes"])
    owner, caller = who(desk, wishes["client"])
    prices = prices_of(desk.stack, wishes["price_in"], wishes["price_out"])
    found = checked(file, wishes["endpoint"], caller, desk.stack, prices.listed)
    print_facts(found.estimate.facts(prices), aside())
    agree("Submit it?", yes=wishes["yes"])
    batch = new_batch(owner, caller, found.endpoint, wishes["metadata"])
    batch = sent(desk, file, batch)
    click.echo(batch.id)
    if places is None:
        click.echo(ways_back(batch, flags_of(context)), err=True)
        return
    with coming_back(context, batch):
        batch = follow(desk, batch)
        download(desk, batch, places)


def places_for(file: Path, wishes: dict[str, Any]) -> Places | None:
    """Where results go, or None if nobody waits for them."""
    are_named = bool(wishes["output"] or wishes["errors"])
    if wishes["wait"] is False and are_named:
        raise click.UsageError("--output and --errors go with --wait.")
    waits = (are_named or sys.stdout.isatty()) if wishes["wait"] is None else wishes["wait"]
    stem = file.with_suffix("") if file.suffix == ".jsonl" else file
    return Places.beside(stem, wishes["output"], wishes["errors"]) if waits else None


def who(desk: BatchClient, name: str | None) -> tuple[str, Client]:
    """Whose batch it is, and what it may do; a ClickException for a client that is revoked."""
    if name is None:
        return names.OPERATOR, Client(id="", key_id=names.OPERATOR)
    client = desk.known(name)
    if client.revoked_at is not None:
        raise click.ClickException(f"{client.name} is revoked: name another client.")
    return client.id, caller_of(client)


def new_batch(owner: str, caller: Client, endpoint: str, metadata: dict[str, str]) -> Batch:
    """A batch that nobody knows of yet."""
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


def sent(desk: BatchClient, path: Path, batch: Batch) -> Batch:
    """Puts a file into the bucket and starts its batch; returns the batch as it is then."""
    size = path.stat().st_size
    with path.open("rb") as file, bytes_bar("Uploading", size) as count:
        desk.s3.upload_fileobj(file, desk.bucket, batch.input_key, Callback=count)
    desk.store.add(
        StoredFile(
            id=batch.input_file_id,
            owner=batch.owner,
            filename=path.name,
            bytes=size,
            key=batch.input_key,
            created_at=batch.created_at,
            expires_at=batch.created_at + retention_seconds(days=desk.retention_days),
        )
    )
    return start(desk.store, desk.step_functions, desk.state_machine, batch)
