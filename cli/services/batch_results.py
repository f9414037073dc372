"""Downloads the results of a batch."""

import sys
from dataclasses import dataclass
from pathlib import Path

import click

from cli.output.batch_tables import outcome, show_errors
from cli.output.progress import bytes_bar
from cli.output.tables import print_facts
from cli.services.batch_client import BatchClient, result_keys
from llm_relay.aws.s3 import Bucket
from llm_relay.batch.model.names import ERRORS, OUTPUT
from llm_relay.batch.model.record import COMPLETED, Batch


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultPaths:
    """Local paths of results."""

    output: Path
    errors: Path
    named: frozenset[Path] = frozenset()  # named by the user: kept even if empty

    @classmethod
    def beside(cls, stem: Path, output: Path | None, errors: Path | None) -> "ResultPaths":
        """Return the named paths, or defaults derived from `stem`."""
        return cls(
            output=output or stem.with_name(f"{stem.name}.output.jsonl"),
            errors=errors or stem.with_name(f"{stem.name}.errors.jsonl"),
            named=frozenset(filter(None, (output, errors))),
        )

    def confirm_replacing(self, source: Path | None = None, *, yes: bool) -> None:
        """Confirm that existing files may be replaced; never `source`, the file of requests."""
        if _is_same_file(self.output, self.errors):
            raise click.UsageError("--output and --errors name the same file.")
        paths = (self.output, self.errors)
        if source and any(_is_same_file(path, source) for path in paths):
            raise click.UsageError(f"Results would replace the requests in {source}.")
        for path in paths:
            if not path.resolve().parent.is_dir():
                raise click.ClickException(f"The folder {path.parent} does not exist.")
            if path.exists():
                confirm(f"Replace {path}?", yes=yes)

    def clear(self, path: Path) -> None:
        """Remove a previous result at a path."""
        if path not in self.named:
            path.unlink(missing_ok=True)
        elif path.exists():
            path.write_bytes(b"")


def _is_same_file(one: Path, other: Path) -> bool:
    if one.exists() and other.exists():
        return one.samefile(other)
    return one.resolve() == other.resolve()


def confirm(question: str, *, yes: bool) -> None:
    """Ask for confirmation unless `yes`; ClickException without a terminal."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.ClickException(f"{question} There is no terminal to confirm on: pass --yes.")
    click.confirm(question, abort=True, err=True)


def download(batches: BatchClient, batch: Batch, paths: ResultPaths) -> None:
    """Download the results of an ended batch; ClickException unless every row succeeded."""
    keys, path_of = result_keys(batch), {OUTPUT: paths.output, ERRORS: paths.errors}
    for kind in path_of.keys() - keys:
        paths.clear(path_of[kind])
    saved = {kind: _save_file(batches, key, kind, path_of[kind]) for kind, key in keys.items()}
    locations = {kind.capitalize(): path for kind, path in saved.items()}
    print_facts({"Batch": batch.id, "Status": batch.status, **outcome(batch), **locations})
    if batch.errors:
        show_errors(batch.errors, batch.error_count)
    if batch.status != COMPLETED:
        raise click.ClickException(f"{batch.id} is {batch.status}: not every row has an answer.")
    if batch.failed:
        where = f" See {saved[ERRORS]}." if ERRORS in saved else ""
        raise click.ClickException(f"{batch.failed:,} of {batch.total:,} rows failed.{where}")


def _save_file(batches: BatchClient, key: str, kind: str, path: Path) -> str:
    """Download one result file, complete or not at all; return its path."""
    s3 = batches.stack.client("s3")
    try:
        size = Bucket(batches.bucket, lambda: s3).head(key)["ContentLength"]
    except KeyError:
        raise click.ClickException(
            f"s3://{batches.bucket}/{key} does not exist: it was deleted or has expired."
        ) from None
    with bytes_bar(f"Downloading {kind}", size) as count:
        s3.download_file(batches.bucket, key, str(path), Callback=count)
    return str(path)
