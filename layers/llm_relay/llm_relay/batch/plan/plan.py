"""Plans a batch: checks every row, and cuts the file into chunks for the workers."""

from __future__ import annotations

import os
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from llm_relay.api.relay import provider_router
from llm_relay.aws.s3 import Bucket
from llm_relay.batch.finalize.notify import publish_end
from llm_relay.batch.finalize.unprocessed_rows import INPUT_CHANGED
from llm_relay.batch.model.execution import batch_reference, run_step
from llm_relay.batch.model.lines import read_blocks, read_lines
from llm_relay.batch.model.manifest import format_manifest
from llm_relay.batch.model.names import manifest_key
from llm_relay.batch.model.record import FAILED, IN_PROGRESS, VALIDATING
from llm_relay.batch.model.row_check import InvalidLine, ProviderRules, RowChecker
from llm_relay.batch.model.store import store
from llm_relay.batch.plan.file_check import ROWS_PER_CHUNK, FileReport, check_file
from llm_relay.batch.plan.model_listing import ModelListing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llm_relay.batch.model.record import Batch

PLANNED, DUPLICATE, STOPPED = "planned", "duplicate", "stopped"

_WORKERS = "10"
_GONE = InvalidLine(
    "file_not_found",
    "The input file is gone. Upload it again, and make a new batch of it.",
    "input_file_id",
)
_REPLACED = InvalidLine(
    INPUT_CHANGED.code,
    "The file was replaced or deleted before it was read, and no row was run. What took its place "
    "is a batch of its own.",
    "input_file_id",
)

Document = dict[str, Any]


def plan_batch(event: Mapping[str, Any]) -> Document:
    """Return what the state machine is to do: `execution` is its ARN, `input` what it was told."""
    return run_step(event["input"], lambda: _planned(event["execution"], event["input"]))


def _planned(execution: str, told: Mapping[str, Any]) -> Document:
    subject = batch_reference(told)
    if subject.arrival:
        subject.arrival.take_in(store())
    batch = store().claim(subject.owner, subject.batch, execution)
    outcome = DUPLICATE if batch is None else _outcome(batch)
    return subject.document() | {"outcome": outcome, "manifest": _manifest(subject.batch)}


def _outcome(batch: Batch) -> str:
    if batch.status == VALIDATING:
        batch = _validated(batch)
    if batch.status == FAILED:
        publish_end(store(), _bucket(), batch)
        return FAILED
    return PLANNED if batch.status == IN_PROGRESS else STOPPED


def _validated(batch: Batch) -> Batch:
    """Return the batch as it is after a look at its file, or as somebody else left it."""
    started = time.monotonic()
    checker = _checker(batch)
    findings, etag = _findings(batch, checker)
    now = int(time.time())
    values: Document = {"endpoint": checker.url or batch.endpoint}
    if findings.error_count:
        values |= {"status": FAILED, "times": {"failed_at": now}, "errors": findings.errors}
        values["error_count"] = findings.error_count
    else:
        text = format_manifest(findings.chunks)
        _bucket().put(manifest_key(batch.id), text)
        values |= {"status": IN_PROGRESS, "times": {"in_progress_at": now}, "total": findings.rows}
        values["input_etag"] = etag
    _log(batch, findings, time.monotonic() - started)
    changed = store().change(batch.owner, batch.id, {VALIDATING}, **values)[1]
    return changed or batch


def _checker(batch: Batch) -> RowChecker:
    is_needed = batch.client.budget_nanos is not None
    terms = [
        ProviderRules(
            dialect=source.dialect,
            listed=ModelListing(source, is_needed=is_needed).entry,
            has=source.model_name,
        )
        for source in provider_router()
    ]
    return RowChecker(batch.endpoint or None, client=batch.client, providers=terms)


def _findings(batch: Batch, checker: RowChecker) -> tuple[FileReport, str | None]:
    """Return what is in the file, and the ETag of the object that was read."""
    rows_per_chunk = int(os.environ.get("BATCH_ROWS_PER_CHUNK", ROWS_PER_CHUNK))
    try:
        content, etag = _bucket().open(batch.input_key, batch.input_etag)
    except KeyError:
        findings = FileReport()
        findings.note(_REPLACED if batch.input_etag else _GONE)
        return findings, None
    # In one go: a file that is replaced meanwhile is not seen half old and half new.
    with content as source:
        return check_file(read_lines(read_blocks(source)), checker, rows_per_chunk), etag


def _manifest(batch_id: str) -> Document:
    return {
        "bucket": _bucket().name,
        "key": manifest_key(batch_id),
        "concurrency": int(os.environ.get("BATCH_WORKERS", _WORKERS)),
    }


def _bucket() -> Bucket:
    return Bucket(os.environ["BATCH_BUCKET"])


def _log(batch: Batch, findings: FileReport, seconds: float) -> None:
    facts = {
        "batch": batch.id,
        "rows": findings.rows,
        "chunks": len(findings.chunks),
        "errors": findings.error_count,
        "seconds": round(seconds, 3),
    }
    _logger().info("batch planned", extra=facts)


@lru_cache(maxsize=1)
def _logger() -> Logger:
    return Logger()
