"""The results of a batch, taken home."""

import sys
from dataclasses import dataclass
from pathlib import Path

import click

from cli.output.batch_tables import cost, print_facts, rows, show_errors, tokens
from cli.output.progress import bytes_bar
from cli.services.batch_client import BatchClient
from llm_relay.aws.s3 import Bucket
from llm_relay.batch.model.names import ERRORS, OUTPUT, results_key
from llm_relay.batch.model.record import COMPLETED, Batch

a_file = click.Path(dir_okay=False, writable=True, path_type=Path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where results are written on this machine."""

    output: Path
    errors: Path
    named: frozenset[Path] = frozenset()  # by somebody: they stay, if only as empty files

    @classmethod
    def beside(cls, stem: Path, output: Path | None, errors: Path | None) -> "Places":
        """The places that were named, else files beside `stem` and called after it."""
        return cls(
            output=output or stem.with_name(f"{stem.name}.output.jsonl"),
            errors=errors or stem.with_name(f"{stem.name}.errors.jsonl"),
            named=frozenset(filter(None, (output, errors))),
        )

    def make_sure(self, source: Path | None = None, *, yes: bool) -> None:
        """Has somebody agree that what is there is replaced; a ClickException if nobody does.

        Nobody can agree to lose the file of requests, `source`.
        """
        if are_same(self.output, self.errors):
            raise click.UsageError("--output and --errors name the same file.")
        if source and (are_same(self.output, source) or are_same(self.errors, source)):
            raise click.UsageError(f"Results would replace the requests in {source}.")
        for path in (self.output, self.errors):
            if not path.resolve().parent.is_dir():
                raise click.ClickException(f"There is no folder {path.parent} to write to.")
            if path.exists():
                agree(f"Replace {path}?", yes=yes)

    def clear(self, path: Path) -> None:
        """Leaves nothing in a place that would be taken for a result of this batch."""
        if path not in self.named:
            path.unlink(missing_ok=True)
        elif path.exists():
            path.write_bytes(b"")


def are_same(one: Path, other: Path) -> bool:
    """Whether two paths lead to the same file, which need not be there yet."""
    if one.exists() and other.exists():
        return one.samefile(other)
    return one.resolve() == other.resolve()


def agree(question: str, *, yes: bool) -> None:
    """Goes on if somebody agrees, or did so beforehand; a ClickException where nobody can."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.ClickException(f"{question} Nobody is here to ask: say so with --yes.")
    click.confirm(question, abort=True, err=True)


def download(desk: BatchClient, batch: Batch, places: Places) -> None:
    """Writes the results of a batch that has ended and says what became of it.

    A ClickException if it did not complete, or rows of it failed.
    """
    if not batch.output_file_id:
        places.clear(places.output)
    if not batch.error_file_id:
        places.clear(places.errors)
    output = saved(desk, batch, OUTPUT, places.output) if batch.output_file_id else None
    errors = saved(desk, batch, ERRORS, places.errors) if batch.error_file_id else None
    print_facts(
        {
            "Batch": batch.id,
            "Status": batch.status,
            "Rows": rows(batch),
            "Cost": cost(batch),
            "Tokens": tokens(batch),
            "Output": output,
            "Errors": errors,
        }
    )
    if batch.errors:
        show_errors(batch.errors, batch.error_count)
    if batch.status != COMPLETED:
        raise click.ClickException(f"{batch.id} is {batch.status}: not every row has an answer.")
    if batch.failed:
        where = f" Why is told in {errors}." if errors else ""
        raise click.ClickException(f"{batch.failed:,} of {batch.total:,} rows failed.{where}")


def saved(desk: BatchClient, batch: Batch, kind: str, path: Path) -> str:
    """Writes one file of results, which is there whole or not at all; returns its path."""
    key = results_key(batch, kind)
    try:
        size = Bucket(desk.bucket, lambda: desk.s3).head(key)["ContentLength"]
    except KeyError:
        raise click.ClickException(
            f"s3://{desk.bucket}/{key} is gone: it was deleted, or its time was over."
        ) from None
    with bytes_bar(f"Downloading {kind}", size) as count:
        desk.s3.download_file(desk.bucket, key, str(path), Callback=count)
    return str(path)
