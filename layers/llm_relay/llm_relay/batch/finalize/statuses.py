"""The last statuses of a batch, and what is recorded with them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from llm_relay.batch.finalize.merge import BatchTotals, merge
from llm_relay.batch.finalize.unprocessed_rows import (
    EXPIRED,
    INPUT_CHANGED,
    INTERRUPTED,
    reason_of,
)
from llm_relay.batch.model import record
from llm_relay.batch.model.names import ERRORS, OUTPUT, result_file_id, results_key
from llm_relay.batch.model.record import Batch, Document, StoredFile, error_entry, retention_seconds
from llm_relay.batch.model.store import store

if TYPE_CHECKING:
    from llm_relay.aws.s3 import Bucket

_NO_ROW_RUN = "The batch failed before any of its rows was run. Submit the file again."
_INPUT_CHANGED = (
    "The input file was replaced or deleted before any of its rows was run. Submit it again, and "
    "do not change it until its batch has ended."
)
_NOT_PLANNED = (
    "The check of the file could not be completed. Submit it again; if that fails too, split it."
)


def stop_batch(batch: Batch) -> Batch:
    """Return the batch in a status in which workers start no more rows."""
    now = int(time.time())
    if batch.status == record.VALIDATING:
        errors = [error_entry(INTERRUPTED.code, _NOT_PLANNED)]
        times = {"failed_at": now}
        batch = _update(batch, record.FAILED, times, errors=errors, error_count=1)
    if batch.status == record.IN_PROGRESS:
        batch = _update(batch, record.FINALIZING, {"finalizing_at": now})
    return batch


def finalize_batch(bucket: Bucket, batch: Batch) -> Batch:
    """Write the result files and return the batch in its last status."""
    if batch.status in record.ENDED:
        return batch
    started = time.monotonic()
    totals = merge(bucket, batch, lambda: _is_open(batch)) if batch.total else BatchTotals()
    status, now = _last_status(batch, totals), int(time.time())
    unprocessed = totals.unprocessed if status in (record.COMPLETED, record.FAILED) else 0
    values: Document = {
        "completed": totals.completed,
        "failed": totals.failed + unprocessed,
        "output_file_id": _add_file(batch, OUTPUT, totals.output_bytes, now),
        "error_file_id": _add_file(batch, ERRORS, totals.error_bytes, now),
        "usage": totals.usage(),
        "cost_nanos": totals.cost_nanos,
    }
    if status == record.FAILED:
        is_input_changed = totals.reason is INPUT_CHANGED
        reason = INPUT_CHANGED if is_input_changed else INTERRUPTED
        message = _INPUT_CHANGED if is_input_changed else _NO_ROW_RUN
        values |= {"errors": [error_entry(reason.code, message)], "error_count": 1}
    _log(batch, status, totals, time.monotonic() - started)
    return _update(batch, status, {f"{status}_at": now}, **values)


def _is_open(batch: Batch) -> bool:
    """Tell whether no other invocation has finalized the batch: then its input may be deleted."""
    current = store().batch(batch.owner, batch.id)
    return current is not None and current.status == batch.status


def _last_status(batch: Batch, totals: BatchTotals) -> str:
    if batch.status == record.CANCELLING:
        return record.CANCELLED
    if totals.unprocessed and reason_of(batch) is EXPIRED:
        return record.EXPIRED
    is_any_run = totals.completed + totals.failed
    return record.FAILED if totals.unprocessed and not is_any_run else record.COMPLETED


def _add_file(batch: Batch, kind: str, size: int, now: int) -> str | None:
    """Return the id of a result file that is now listed; None if it is empty."""
    if not size:
        return None
    file = StoredFile(
        id=result_file_id(batch.id, kind),
        owner=batch.owner,
        filename=f"{batch.id}_{kind}.jsonl",
        bytes=size,
        key=results_key(batch, kind),
        created_at=now,
        purpose="batch_output",
        expires_at=now + retention_seconds(batch.results_seconds),
    )
    store().add(file)
    return file.id


def _update(batch: Batch, status: str, times: dict[str, int], **values: Any) -> Batch:
    """Return the batch in this status, or in the one that another invocation has set."""
    values |= {"status": status}
    changed = store().update_batch(batch.owner, batch.id, {batch.status}, times, **values)[1]
    return changed or batch


def _log(batch: Batch, status: str, totals: BatchTotals, seconds: float) -> None:
    fields = {
        "batch": batch.id,
        "status": status,
        "completed": totals.completed,
        "failed": totals.failed,
        "never_run": totals.unprocessed,
        "tokens_in": totals.tokens_in,
        "tokens_out": totals.tokens_out,
        "cost_nanos": totals.cost_nanos,
        "seconds": round(seconds, 3),
    }
    Logger().info("batch ended", extra=fields)
