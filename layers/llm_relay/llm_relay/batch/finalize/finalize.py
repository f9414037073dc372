"""The states in which a batch ends, and what is known of it then."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from llm_relay.batch.finalize.merge import merge
from llm_relay.batch.finalize.notify import ERRORS, OUTPUT, results_key
from llm_relay.batch.finalize.totals import BatchTotals
from llm_relay.batch.finalize.unprocessed_rows import EXPIRED, INPUT_CHANGED, INTERRUPTED, reason_of
from llm_relay.batch.model.names import result_file_id
from llm_relay.batch.model.record import (
    CANCELLED,
    CANCELLING,
    COMPLETED,
    ENDED,
    FAILED,
    FINALIZING,
    IN_PROGRESS,
    VALIDATING,
    StoredFile,
    error_entry,
)
from llm_relay.batch.model.record import EXPIRED as EXPIRED_STATE
from llm_relay.batch.model.retention import retention_seconds
from llm_relay.batch.model.store import store

if TYPE_CHECKING:
    from llm_relay.aws.s3 import Bucket
    from llm_relay.batch.model.record import Batch

Document = dict[str, Any]

_BROKEN_OFF = "The batch broke off before any of its rows was run. Submit the file again."
_NOT_THERE = (
    "The input file was replaced or deleted before any of its rows was run. Submit it again, and "
    "leave it as it is until its batch has ended."
)
_NOT_PLANNED = (
    "The file could not be checked to its end. Submit it again; if that fails too, in parts."
)


def stop_batch(batch: Batch) -> Batch:
    """Return the batch in a state in which workers take no more rows."""
    now = int(time.time())
    if batch.status == VALIDATING:
        values = {"times": {"failed_at": now}, "errors": [_broken(_NOT_PLANNED)], "error_count": 1}
        batch = _changed(batch, FAILED, **values)
    if batch.status == IN_PROGRESS:
        batch = _changed(batch, FINALIZING, times={"finalizing_at": now})
    return batch


def finalize_batch(bucket: Bucket, batch: Batch) -> Batch:
    """Return the batch as it is with its results put together."""
    if batch.status in ENDED:
        return batch
    started = time.monotonic()
    tally = merge(bucket, batch, lambda: _is_open(batch)) if batch.total else BatchTotals()
    status, now = _last_status(batch, tally), int(time.time())
    values: Document = {
        "completed": tally.completed,
        "failed": tally.failed + (tally.never_run if status in (COMPLETED, FAILED) else 0),
        "output_file_id": _kept(batch, OUTPUT, tally.output_bytes, now),
        "error_file_id": _kept(batch, ERRORS, tally.error_bytes, now),
        "usage": tally.usage(),
        "cost_nanos": tally.cost_nanos,
        "times": {f"{status}_at": now},
    }
    if status == FAILED:
        values |= {"errors": [_why_failed(tally)], "error_count": 1}
    _log(batch, status, tally, time.monotonic() - started)
    return _changed(batch, status, **values)


def _is_open(batch: Batch) -> bool:
    """Tell whether nobody else has ended it meanwhile: its input may be gone by then."""
    known = store().batch(batch.owner, batch.id)
    return known is not None and known.status == batch.status


def _last_status(batch: Batch, tally: BatchTotals) -> str:
    if batch.status == CANCELLING:
        return CANCELLED
    if tally.never_run and reason_of(batch) is EXPIRED:
        return EXPIRED_STATE
    is_broken = tally.never_run and not tally.completed + tally.failed
    return FAILED if is_broken else COMPLETED


def _kept(batch: Batch, kind: str, size: int, now: int) -> str | None:
    """Return the id under which a file of results may be asked for; None if it is empty."""
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


def _changed(batch: Batch, status: str, **values: Any) -> Batch:
    """Return the batch in its next state, or in the one that somebody else has given it."""
    changed = store().change(batch.owner, batch.id, {batch.status}, status=status, **values)[1]
    return changed or batch


def _why_failed(tally: BatchTotals) -> Document:
    if tally.cause is INPUT_CHANGED:
        return error_entry(INPUT_CHANGED.code, _NOT_THERE)
    return _broken(_BROKEN_OFF)


def _broken(message: str) -> Document:
    return error_entry(INTERRUPTED.code, message)


def _log(batch: Batch, status: str, tally: BatchTotals, seconds: float) -> None:
    facts = {
        "batch": batch.id,
        "status": status,
        "completed": tally.completed,
        "failed": tally.failed,
        "never_run": tally.never_run,
        "tokens_in": tally.tokens_in,
        "tokens_out": tally.tokens_out,
        "cost_nanos": tally.cost_nanos,
        "seconds": round(seconds, 3),
    }
    _logger().info("batch ended", extra=facts)


@lru_cache(maxsize=1)
def _logger() -> Logger:
    return Logger()
