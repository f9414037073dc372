"""The first step of a batch: checks every row and splits the file into chunks."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from llm_relay.api.relay import provider_router
from llm_relay.batch.finalize.notify import publish_end
from llm_relay.batch.model.execution import batch_reference, run_step
from llm_relay.batch.model.input_file import format_manifest, read_blocks, read_lines
from llm_relay.batch.model.names import manifest_key
from llm_relay.batch.model.record import FAILED, IN_PROGRESS, VALIDATING, Batch, Document
from llm_relay.batch.model.row_check import InvalidLine, ProviderRules, RowChecker
from llm_relay.batch.model.store import bucket, store
from llm_relay.batch.plan.file_check import ROWS_PER_CHUNK, FileReport, check_file
from llm_relay.core.deadline import Deadline
from llm_relay.core.defaults import objects_in
from llm_relay.core.errors import ProviderError, RelayError
from llm_relay.providers.client import AttemptTracker

if TYPE_CHECKING:
    from llm_relay.providers.provider import Provider

_LISTING_TIMEOUT_SECONDS = 30.0
_FILE_DELETED = InvalidLine(
    "file_not_found",
    "The input file was deleted. Upload it again and create a new batch.",
    "input_file_id",
)
_FILE_REPLACED = InvalidLine(
    "input_changed",
    "The file was replaced or deleted before it was read, and no row was run. The file that "
    "replaced it is a batch of its own.",
    "input_file_id",
)


def plan_batch(event: Mapping[str, Any]) -> Document:
    """Return the plan of a batch; `execution` is the state machine's ARN, `input` its input."""
    return run_step(event["input"], lambda: _plan(event["execution"], event["input"]))


def _plan(execution: str, event: Mapping[str, Any]) -> Document:
    reference = batch_reference(event)
    if reference.inbox_object:
        reference.inbox_object.register(store())
    batch = store().claim(reference.owner, reference.batch, execution)
    manifest = {
        "bucket": bucket().name,
        "key": manifest_key(reference.batch),
        "concurrency": int(os.environ.get("BATCH_WORKERS", "10")),
    }
    outcome = _outcome(batch) if batch else "duplicate"
    return reference.document() | {"outcome": outcome, "manifest": manifest}


def _outcome(batch: Batch) -> str:
    if batch.status == VALIDATING:
        batch = _validate(batch)
    if batch.status == FAILED:
        publish_end(batch)
        return FAILED
    return "planned" if batch.status == IN_PROGRESS else "stopped"


def _validate(batch: Batch) -> Batch:
    """Return the batch in its next status, or in the one that another request has set."""
    started = time.monotonic()
    checker = _checker(batch)
    report, etag = _check(batch, checker)
    values: Document = {"endpoint": checker.url or batch.endpoint}
    if report.error_count:
        values |= {"status": FAILED, "errors": report.errors, "error_count": report.error_count}
    else:
        bucket().put(manifest_key(batch.id), format_manifest(report.chunks))
        values |= {"status": IN_PROGRESS, "total": report.rows, "input_etag": etag}
    times = {f"{values['status']}_at": int(time.time())}
    _log(batch, report, time.monotonic() - started)
    changed = store().update_batch(batch.owner, batch.id, {VALIDATING}, times, **values)[1]
    return changed or batch


def _checker(batch: Batch) -> RowChecker:
    rules = [
        ProviderRules(dialect=each.dialect, listed=_listed(each, batch), serves=each.model_name)
        for each in provider_router()
    ]
    return RowChecker(batch.endpoint or None, client=batch.client, providers=rules)


def _listed(provider: Provider, batch: Batch) -> Callable[[str], Document | None]:
    """Return a function that looks a model up in the provider's list, fetched on first use.

    If a budget needs the list and it cannot be fetched, the function raises that error each time,
    unless the provider has no list.
    """

    @cache
    def fetch() -> dict[str, Document] | RelayError:
        deadline = Deadline.after(_LISTING_TIMEOUT_SECONDS)
        try:
            listing = provider.catalog.listing(deadline, AttemptTracker())
        except RelayError as error:
            has_none = isinstance(error, ProviderError) and error.status == HTTPStatus.NOT_FOUND
            return {} if has_none or batch.client.budget_nanos is None else error
        return {str(entry.get("id")): entry for entry in objects_in(listing, "data")}

    def entry(model: str) -> Document | None:
        entries = fetch()
        if isinstance(entries, RelayError):
            raise entries
        return entries.get(provider.model_name(model) or model)

    return entry


def _check(batch: Batch, checker: RowChecker) -> tuple[FileReport, str | None]:
    """Return the report on the input file, and the ETag of the object that was read."""
    rows_per_chunk = int(os.environ.get("BATCH_ROWS_PER_CHUNK", ROWS_PER_CHUNK))
    try:
        content, etag = bucket().open(batch.input_key, batch.input_etag)
    except KeyError:
        report = FileReport()
        report.add_error(_FILE_REPLACED if batch.input_etag else _FILE_DELETED)
        return report, None
    # One request for the whole file: a replacement during the check is not mixed with it.
    with content:
        return check_file(read_lines(read_blocks(content)), checker, rows_per_chunk), etag


def _log(batch: Batch, report: FileReport, seconds: float) -> None:
    fields = {
        "batch": batch.id,
        "rows": report.rows,
        "chunks": len(report.chunks),
        "errors": report.error_count,
        "seconds": round(seconds, 3),
    }
    Logger().info("batch planned", extra=fields)
