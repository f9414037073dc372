"""The last step of a batch: assembles its results, sets its last status and publishes its end."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools import Logger

from llm_relay.batch.finalize.compaction import MAX_PARTS, compact_parts
from llm_relay.batch.finalize.merge import EXPIRED, AlreadyFinalized, BatchTotals, merge
from llm_relay.batch.finalize.notify import publish_end
from llm_relay.batch.model import record
from llm_relay.batch.model.execution import BatchReference, batch_reference, run_step
from llm_relay.batch.model.leases import leased_until
from llm_relay.batch.model.names import ERRORS, OUTPUT, result_file_id, results_key
from llm_relay.batch.model.record import Batch, Document, StoredFile, error_entry, retention_seconds
from llm_relay.batch.model.store import bucket, store
from llm_relay.batch.worker.recovery import settle_remaining
from llm_relay.core.deadline import Deadline

_NOT_PLANNED = (
    "The check of the file could not be completed. Submit it again; if that fails too, split it."
)


def assemble(event: Mapping[str, Any], seconds: float, max_parts: int = MAX_PARTS) -> Document:
    """Finalize a batch; return `wait_seconds`, after which to call this again (0: done).

    That is the case while workers hold chunks, or if there is more work than `seconds` allow.
    """
    # Work that starts in the first half of the time is finished by the end of the second half.
    deadline = Deadline.after(seconds / 2)
    return run_step(event, lambda: _assemble(batch_reference(event), deadline, max_parts))


def _assemble(reference: BatchReference, deadline: Deadline, max_parts: int) -> Document:
    if reference.inbox_object:  # the failed execution may not have registered it
        reference.inbox_object.register(store())
    batch, wait_seconds = store().batch(reference.owner, reference.batch), 0
    # An execution that failed before its first step has not claimed its batch.
    if batch and (not reference.execution or batch.execution in (None, reference.execution)):
        wait_seconds = _end(batch, deadline, max_parts)
    return reference.document() | {"wait_seconds": wait_seconds}


def _end(batch: Batch, deadline: Deadline, max_parts: int) -> int:
    """End a batch; return in how many seconds to continue, 0 if it has ended."""
    batch = _stop(batch)
    if batch.status not in record.ENDED:
        if wait_seconds := _prepare(batch, deadline, max_parts):
            return wait_seconds
        try:
            batch = _finalize(batch)
        except AlreadyFinalized:  # by an invocation that may fail before it publishes the end
            return 1
    publish_end(batch)
    return 0


def _stop(batch: Batch) -> Batch:
    """Return the batch in a status in which workers start no more rows."""
    now = int(time.time())
    if batch.status == record.VALIDATING:
        errors = [error_entry("batch_failed", _NOT_PLANNED)]
        times = {"failed_at": now}
        batch = _update(batch, record.FAILED, times, errors=errors, error_count=1)
    if batch.status == record.IN_PROGRESS:
        batch = _update(batch, record.FINALIZING, {"finalizing_at": now})
    return batch


def _prepare(batch: Batch, deadline: Deadline, max_parts: int) -> int:
    """Settle and compact the results; return in how many seconds to continue, 0 if all is done."""
    now = time.time()
    if until := leased_until(os.environ["BATCHES_TABLE"], batch.id, now):
        return max(1, until - int(now))
    if not batch.total:  # cancelled before its rows were counted: none was run
        return 0
    wait_seconds = settle_remaining(bucket(), batch, deadline)
    return wait_seconds or int(not compact_parts(bucket(), batch, deadline, max_parts))


def _finalize(batch: Batch) -> Batch:
    """Write the result files and return the batch in its last status."""
    started = time.monotonic()
    totals = merge(bucket(), batch) if batch.total else BatchTotals()
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
    if status == record.FAILED and (reason := totals.reason):
        errors = [error_entry(reason.code, reason.batch_message)]
        values |= {"errors": errors, "error_count": 1}
    _log(batch, status, totals, time.monotonic() - started)
    return _update(batch, status, {f"{status}_at": now}, **values)


def _last_status(batch: Batch, totals: BatchTotals) -> str:
    if batch.status == record.CANCELLING:
        return record.CANCELLED
    if totals.reason is EXPIRED:
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
        "unprocessed": totals.unprocessed,
        "tokens_in": totals.tokens_in,
        "tokens_out": totals.tokens_out,
        "cost_nanos": totals.cost_nanos,
        "seconds": round(seconds, 3),
    }
    Logger().info("batch ended", extra=fields)
