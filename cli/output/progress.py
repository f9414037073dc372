"""Shows the progress of a batch."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import click
from rich import progress
from rich.text import Text

from cli.aws.target_stack import target_flags
from cli.output.tables import console
from cli.services.batch_client import BatchClient
from llm_relay.batch.model.record import ENDED, Batch
from llm_relay.billing.money import format_usd

MIN_PAUSE, MAX_PAUSE = 0.5, 5.0  # seconds between two polls
LINE_SECONDS = 60.0  # between two status lines without a terminal
MAX_FAILED_POLLS = 60  # in a row: a laptop may have slept
INTERRUPTED = 130  # exit status after Ctrl-C


class RowsPerSecond(progress.ProgressColumn):
    """Rows per second."""

    def render(self, task: progress.Task) -> Text:
        """Return the speed over the last 30 s."""
        return Text("" if task.speed is None else f"{task.speed:,.1f} rows/s")


def follow(
    batches: BatchClient, batch: Batch, clock: Callable[[], float] = time.monotonic
) -> Batch:
    """Show a batch until it has ended; return its final state."""
    counts = progress.MofNCompleteColumn(), RowsPerSecond(), "{task.fields[more]}"
    times = progress.TimeElapsedColumn(), progress.TimeRemainingColumn()
    columns = "{task.description}", progress.BarColumn(), *counts, *times
    with progress.Progress(*columns, console=console(stderr=True)) as bar:
        task = bar.add_task("", total=None, more="")
        printed_at = clock()
        for current in _poll(batches, batch):
            bar.update(
                task,
                description=current.status,
                total=current.total or None,
                completed=current.completed + current.failed,
                more=_failures_and_cost(current),
            )
            if not bar.console.is_terminal and clock() - printed_at >= LINE_SECONDS:
                click.echo(_status_line(current), err=True)
                printed_at = clock()
    return current


def _poll(batches: BatchClient, batch: Batch) -> Iterator[Batch]:
    """Yield the current state of a batch until it has ended."""
    from botocore.exceptions import ConnectionError, HTTPClientError  # noqa: PLC0415 - as boto3

    began, missed = time.monotonic(), 0
    yield batch
    while batch.status not in ENDED:
        elapsed = time.monotonic() - began
        time.sleep(min(MAX_PAUSE, max(MIN_PAUSE, elapsed / 60)))
        try:
            batch, missed = batches.reload(batch), 0
        except (ConnectionError, HTTPClientError):
            missed += 1
            if missed >= MAX_FAILED_POLLS:
                raise
        yield batch


@contextmanager
def resume_hint_on_interrupt(batch: Batch) -> Iterator[None]:
    """On Ctrl-C or AWS errors, print how to follow the batch, which continues."""
    from cli.aws.errors import AWS_ERRORS  # noqa: PLC0415 - imports botocore

    try:
        yield
    except (KeyboardInterrupt, *AWS_ERRORS) as error:
        click.echo(f"\n{batch.id} continues.\n{resume_hints(batch)}", err=True)
        if isinstance(error, KeyboardInterrupt):
            click.get_current_context().exit(INTERRUPTED)
        raise


def resume_hints(batch: Batch) -> str:
    """Return the commands to follow a batch."""
    flags = target_flags()
    return (
        f"Show its status:    relay batch show {batch.id}{flags}\n"
        f"Get its results:    relay batch results {batch.id} --wait{flags}\n"
        f"Cancel it:          relay batch cancel {batch.id}{flags}"
    )


def _status_line(batch: Batch) -> str:
    rows = f"{batch.completed + batch.failed:,}/{batch.total:,} rows" if batch.total else ""
    return "  ".join(filter(None, (batch.status, rows, _failures_and_cost(batch))))


def _failures_and_cost(batch: Batch) -> str:
    failed = f"{batch.failed:,} failed" if batch.failed else ""
    cost = format_usd(batch.cost_nanos) if batch.cost_nanos else ""
    return "  ".join(filter(None, (failed, cost)))


@contextmanager
def bytes_bar(description: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show a progress bar for bytes on stderr; yield a thread-safe function that adds bytes."""
    output = console(stderr=True)
    hidden = not output.is_terminal
    columns = progress.BarColumn(), progress.DownloadColumn(), progress.TransferSpeedColumn()
    with progress.Progress(
        "{task.description}", *columns, console=output, transient=True, disable=hidden
    ) as bar:
        yield partial(bar.advance, bar.add_task(description, total=total))
