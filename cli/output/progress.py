"""Shows the progress of a batch."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text

from cli.aws.target_stack import flags_of
from cli.output.batch_tables import stderr_console
from cli.services.batch_client import BatchClient
from llm_relay.batch.model.record import ENDED, Batch
from llm_relay.billing.money import format_usd

MIN_PAUSE, MAX_PAUSE = 0.5, 5.0  # seconds between two polls
LINE_SECONDS = 60.0  # between two status lines without a terminal
MAX_FAILED_POLLS = 60  # in a row: a laptop may have slept
INTERRUPTED = 130  # exit status after Ctrl-C


class RowsPerSecond(ProgressColumn):
    """Rows per second."""

    def render(self, task: Task) -> Text:
        """Return the speed over the last 30 s."""
        return Text("" if task.speed is None else f"{task.speed:,.1f} rows/s")


def follow(
    batches: BatchClient, batch: Batch, clock: Callable[[], float] = time.monotonic
) -> Batch:
    """Show a batch until it has ended; return its final state.

    Without a terminal, print a status line from time to time.
    """
    with rows_bar() as bar:
        shown = bar.add_task(batch.status, total=None, completed=done(batch), more="")
        printed_at = clock()
        for now in poll(batches, batch):
            total = now.total or None
            bar.update(
                shown, description=now.status, total=total, completed=done(now), more=more(now)
            )
            if not bar.console.is_terminal and clock() - printed_at >= LINE_SECONDS:
                click.echo(status_line(now), err=True)
                printed_at = clock()
    return now


def poll(batches: BatchClient, batch: Batch) -> Iterator[Batch]:
    """Yield the current state of a batch until it has ended."""
    from botocore.exceptions import ConnectionError, HTTPClientError  # noqa: PLC0415 - as boto3

    began, missed = time.monotonic(), 0
    yield batch
    while batch.status not in ENDED:
        elapsed = time.monotonic() - began
        time.sleep(min(MAX_PAUSE, max(MIN_PAUSE, elapsed / 60)))
        try:
            batch, missed = batches.again(batch), 0
        except (ConnectionError, HTTPClientError):
            missed += 1
            if missed >= MAX_FAILED_POLLS:
                raise
        yield batch


@contextmanager
def resume_hint_on_interrupt(context: click.Context, batch: Batch) -> Iterator[None]:
    """On Ctrl-C or AWS errors, print how to follow the batch, which continues."""
    from cli.aws.errors import AWS_ERRORS  # noqa: PLC0415 - imports botocore

    try:
        yield
    except (KeyboardInterrupt, *AWS_ERRORS) as error:
        hints = f"{batch.id} continues.\n{resume_hints(batch, flags_of(context))}"
        click.echo(f"\n{hints}", err=True)
        if isinstance(error, KeyboardInterrupt):
            context.exit(INTERRUPTED)
        raise


def resume_hints(batch: Batch, flags: str) -> str:
    """Return the commands to follow a batch."""
    return (
        f"Show its status:    relay batch show {batch.id}{flags}\n"
        f"Get its results:    relay batch results {batch.id} --wait{flags}\n"
        f"Cancel it:          relay batch cancel {batch.id}{flags}"
    )


def done(batch: Batch) -> int:
    """Return the number of finished rows."""
    return batch.completed + batch.failed


def status_line(batch: Batch) -> str:
    """Return a batch's progress in one line."""
    rows = f"{done(batch):,}/{batch.total:,} rows" if batch.total else ""
    return "  ".join(filter(None, (batch.status, rows, more(batch))))


def more(batch: Batch) -> str:
    """Return failures and cost so far, if any."""
    failed = f"{batch.failed:,} failed" if batch.failed else ""
    cost = format_usd(batch.cost_nanos) if batch.cost_nanos else ""
    return "  ".join(filter(None, (failed, cost)))


def rows_bar() -> Progress:
    """Return a progress bar for rows, on stderr."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        RowsPerSecond(),
        TextColumn("{task.fields[more]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=stderr_console(),
    )


@contextmanager
def bytes_bar(what: str, total: int) -> Iterator["ByteCount"]:
    """Show a progress bar for bytes on stderr for the block."""
    console = stderr_console()
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bar:
        yield ByteCount(bar, what, total)


class ByteCount:
    """Advances a progress bar."""

    def __init__(self, bar: Progress, what: str, total: int) -> None:
        self._bar, self._task = bar, bar.add_task(what, total=total)

    def __call__(self, number: int) -> None:
        """Add bytes; boto3 calls this from several threads."""
        self._bar.advance(self._task, number)
