"""Ends a batch: puts its results together, and tells what it came to."""

from __future__ import annotations

import os
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from llm_relay.batch.condense import MOST_PARTS, condense
from llm_relay.batch.ending import ERRORS, OUTPUT, results_key, tell_end
from llm_relay.batch.execution import step, subject_of
from llm_relay.batch.file_check import error_entry
from llm_relay.batch.leases import live_until
from llm_relay.batch.merge import merge
from llm_relay.batch.names import result_file_id
from llm_relay.batch.never_run import BROKEN, EXPIRED, cause_of
from llm_relay.batch.record import (
    CANCELLED,
    CANCELLING,
    COMPLETED,
    ENDED,
    FAILED,
    FINALIZING,
    IN_PROGRESS,
    VALIDATING,
    StoredFile,
)
from llm_relay.batch.record import EXPIRED as EXPIRED_STATE
from llm_relay.batch.store import store
from llm_relay.batch.tally import Tally
from llm_relay.deadline import Deadline
from llm_relay.objects import Bucket

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from llm_relay.batch.execution import Subject
    from llm_relay.batch.record import Batch

Document = dict[str, Any]

_BROKEN_OFF = "The batch broke off before any of its rows was run. Submit the file again."
_NOT_PLANNED = (
    "The file could not be checked to its end. Submit it again; if that fails too, in parts."
)


def assemble(event: Mapping[str, Any], seconds: float, most_parts: int = MOST_PARTS) -> Document:
    """End a batch; return in how many seconds this is to be called again, if at all.

    That is so while workers hold chunks, or if there is more to do than `seconds` allow.
    """
    # What is begun in the first half of the time is done at the end of the second.
    soon = Deadline.after(seconds / 2)

    def is_short(batch: Batch) -> bool:
        return condense(_bucket(), batch, soon, most_parts)

    return step(event, lambda: _assembled(subject_of(event), is_short))


def _assembled(subject: Subject, is_short: Callable[[Batch], bool]) -> Document:
    batch = store().batch(subject.owner, subject.batch)
    seconds = 0
    if batch and subject.execution in (None, batch.execution):
        batch = _stopped(batch)
        seconds = 0 if batch.status in ENDED else _wait_seconds(batch, is_short)
        if not seconds:
            tell_end(store(), _bucket(), _ended(batch))
    return subject.document() | {"wait_seconds": seconds}


def _stopped(batch: Batch) -> Batch:
    """Return the batch in a state in which workers take no more rows."""
    now = int(time.time())
    if batch.status == VALIDATING:
        values = {"times": {"failed_at": now}, "errors": [_error(_NOT_PLANNED)], "error_count": 1}
        batch = _changed(batch, FAILED, **values)
    if batch.status == IN_PROGRESS:
        batch = _changed(batch, FINALIZING, times={"finalizing_at": now})
    return batch


def _wait_seconds(batch: Batch, is_short: Callable[[Batch], bool]) -> int:
    now = time.time()
    until = live_until(os.environ["BATCHES_TABLE"], batch.id, now)
    if until:
        return max(1, until - int(now))
    # Without rows it was cancelled before they were counted, and none was run.
    return 0 if not batch.total or is_short(batch) else 1


def _ended(batch: Batch) -> Batch:
    """Return the batch as it is with its results put together."""
    if batch.status in ENDED:
        return batch
    started = time.monotonic()
    tally = merge(_bucket(), batch) if batch.total else Tally()
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
        values |= {"errors": [_error(_BROKEN_OFF)], "error_count": 1}
    _log(batch, status, tally, time.monotonic() - started)
    return _changed(batch, status, **values)


def _last_status(batch: Batch, tally: Tally) -> str:
    if batch.status == CANCELLING:
        return CANCELLED
    if tally.never_run and cause_of(batch) is EXPIRED:
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
        expires_at=now + batch.results_seconds if batch.results_seconds else None,
    )
    store().add(file)
    return file.id


def _changed(batch: Batch, status: str, **values: Any) -> Batch:
    """Return the batch in its next state, or in the one that somebody else has given it."""
    changed = store().change(batch.owner, batch.id, {batch.status}, status=status, **values)[1]
    return changed or batch


def _error(message: str) -> Document:
    return error_entry(BROKEN.code, message)


def _bucket() -> Bucket:
    return Bucket(os.environ["BATCH_BUCKET"])


def _log(batch: Batch, status: str, tally: Tally, seconds: float) -> None:
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
