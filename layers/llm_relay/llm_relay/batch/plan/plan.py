"""The first step of a batch: checks every row and splits the file into chunks."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools import Logger

from llm_relay.api.relay import provider_router
from llm_relay.batch.finalize.notify import publish_end
from llm_relay.batch.finalize.unprocessed_rows import INPUT_CHANGED
from llm_relay.batch.model.execution import batch_reference, run_step
from llm_relay.batch.model.lines import read_blocks, read_lines
from llm_relay.batch.model.manifest import format_manifest
from llm_relay.batch.model.names import manifest_key
from llm_relay.batch.model.record import FAILED, IN_PROGRESS, VALIDATING, Batch, Document
from llm_relay.batch.model.row_check import InvalidLine, ProviderRules, RowChecker
from llm_relay.batch.model.store import bucket, store
from llm_relay.batch.plan.file_check import ROWS_PER_CHUNK, FileReport, check_file
from llm_relay.batch.plan.model_listing import ModelListing

PLANNED, DUPLICATE, STOPPED = "planned", "duplicate", "stopped"

_DEFAULT_WORKERS = "10"
_FILE_DELETED = InvalidLine(
    "file_not_found",
    "The input file was deleted. Upload it again and create a new batch.",
    "input_file_id",
)
_FILE_REPLACED = InvalidLine(
    INPUT_CHANGED.code,
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
        "concurrency": int(os.environ.get("BATCH_WORKERS", _DEFAULT_WORKERS)),
    }
    outcome = _outcome(batch) if batch else DUPLICATE
    return reference.document() | {"outcome": outcome, "manifest": manifest}


def _outcome(batch: Batch) -> str:
    if batch.status == VALIDATING:
        batch = _validate(batch)
    if batch.status == FAILED:
        publish_end(store(), bucket(), batch)
        return FAILED
    return PLANNED if batch.status == IN_PROGRESS else STOPPED


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
    is_needed = batch.client.budget_nanos is not None
    rules = [
        ProviderRules(
            dialect=provider.dialect,
            listed=ModelListing(provider, is_needed=is_needed).entry,
            serves=provider.model_name,
        )
        for provider in provider_router()
    ]
    return RowChecker(batch.endpoint or None, client=batch.client, providers=rules)


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
