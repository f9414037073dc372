"""A batch while it runs, as whoever waits for it sees it."""

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
from cli.output.batch_tables import aside
from cli.services.batch_client import BatchClient
from llm_relay.batch.model.record import ENDED, Batch
from llm_relay.billing.money import format_usd

SHORTEST_PAUSE, LONGEST_PAUSE = 0.5, 5.0  # seconds between two looks
A_WHILE = 60.0  # seconds between two lines, where no bar moves
PATIENCE = 60  # looks in a row that fail before it is given up: a laptop may have slept
INTERRUPTED = 130  # what shells call a command that Ctrl-C ended


class RowsPerSecond(ProgressColumn):
    """How fast rows get done."""

    def render(self, task: Task) -> Text:
        """The speed of the last half minute."""
        return Text("" if task.speed is None else f"{task.speed:,.1f} rows/s")


def follow(desk: BatchClient, batch: Batch, clock: Callable[[], float] = time.monotonic) -> Batch:
    """Shows a batch until it has ended; returns it as it is then.

    Where no bar moves, a line says now and then how far it is.
    """
    with rows_bar() as bar:
        shown = bar.add_task(batch.status, total=None, completed=done(batch), more="")
        told_at = clock()
        for now in looks(desk, batch):
            total = now.total or None
            bar.update(
                shown, description=now.status, total=total, completed=done(now), more=more(now)
            )
            if not bar.console.is_terminal and clock() - told_at >= A_WHILE:
                click.echo(how_far(now), err=True)
                told_at = clock()
    return now


def looks(desk: BatchClient, batch: Batch) -> Iterator[Batch]:
    """A batch as it is now, again and again until it has ended."""
    from botocore.exceptions import ConnectionError, HTTPClientError  # noqa: PLC0415 - as boto3

    began, missed = time.monotonic(), 0
    yield batch
    while batch.status not in ENDED:
        elapsed = time.monotonic() - began
        time.sleep(min(LONGEST_PAUSE, max(SHORTEST_PAUSE, elapsed / 60)))
        try:
            batch, missed = desk.again(batch), 0
        except (ConnectionError, HTTPClientError):
            missed += 1
            if missed >= PATIENCE:
                raise
        yield batch


@contextmanager
def coming_back(context: click.Context, batch: Batch) -> Iterator[None]:
    """Leaves a batch to itself at Ctrl-C, or when AWS is lost, and says how to see it again."""
    from cli.aws.errors import AWS_ERRORS  # noqa: PLC0415 - imports botocore

    try:
        yield
    except (KeyboardInterrupt, *AWS_ERRORS) as error:
        told = f"{batch.id} is left to itself.\n{ways_back(batch, flags_of(context))}"
        click.echo(f"\n{told}", err=True)
        if isinstance(error, KeyboardInterrupt):
            context.exit(INTERRUPTED)
        raise


def ways_back(batch: Batch, flags: str) -> str:
    """The commands that follow a batch up, exactly."""
    return (
        f"See how far it is:  relay batch show {batch.id}{flags}\n"
        f"Get its results:    relay batch results {batch.id} --wait{flags}\n"
        f"Stop it:            relay batch cancel {batch.id}{flags}"
    )


def done(batch: Batch) -> int:
    """How many rows nobody will ask again."""
    return batch.completed + batch.failed


def how_far(batch: Batch) -> str:
    """How far a batch is, in one line."""
    rows = f"{done(batch):,}/{batch.total:,} rows" if batch.total else ""
    return "  ".join(filter(None, (batch.status, rows, more(batch))))


def more(batch: Batch) -> str:
    """What failed, and what it cost so far, if there is any."""
    failed = f"{batch.failed:,} failed" if batch.failed else ""
    cost = format_usd(batch.cost_nanos) if batch.cost_nanos else ""
    return "  ".join(filter(None, (failed, cost)))


def rows_bar() -> Progress:
    """A bar for rows, on stderr; where nobody looks, its last state alone."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        RowsPerSecond(),
        TextColumn("{task.fields[more]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=aside(),
    )


@contextmanager
def bytes_bar(what: str, total: int) -> Iterator["ByteCount"]:
    """A bar for bytes, on stderr, as long as the block takes; it goes when that has ended."""
    console = aside()
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
    """A bar that is told of bytes as they go by."""

    def __init__(self, bar: Progress, what: str, total: int) -> None:
        self._bar, self._task = bar, bar.add_task(what, total=total)

    def __call__(self, number: int) -> None:
        """Adds bytes; boto3 calls it from several threads."""
        self._bar.advance(self._task, number)
