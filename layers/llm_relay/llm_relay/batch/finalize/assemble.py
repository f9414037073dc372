"""Ends a batch: puts its results together, and tells what it came to."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from llm_relay.aws.s3 import Bucket
from llm_relay.batch.finalize.compact import MAX_PARTS, compact_parts
from llm_relay.batch.finalize.finalize import finalize_batch, stop_batch
from llm_relay.batch.finalize.merge import AlreadyFinalized
from llm_relay.batch.finalize.notify import publish_end
from llm_relay.batch.model.execution import batch_reference, run_step
from llm_relay.batch.model.leases import leased_until
from llm_relay.batch.model.record import ENDED
from llm_relay.batch.model.store import store
from llm_relay.batch.worker.recovery import settle_remaining
from llm_relay.core.deadline import Deadline

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from llm_relay.batch.model.execution import BatchReference
    from llm_relay.batch.model.record import Batch

Document = dict[str, Any]


def assemble(event: Mapping[str, Any], seconds: float, most_parts: int = MAX_PARTS) -> Document:
    """End a batch; return in how many seconds this is to be called again, if at all.

    That is so while workers hold chunks, or if there is more to do than `seconds` allow.
    """
    # What is begun in the first half of the time is done at the end of the second.
    soon = Deadline.after(seconds / 2)

    def prepare(batch: Batch) -> int:
        wait_seconds = settle_remaining(_bucket(), batch, soon)
        return wait_seconds or int(not compact_parts(_bucket(), batch, soon, most_parts))

    return run_step(event, lambda: _assembled(batch_reference(event), prepare))


def _assembled(subject: BatchReference, prepare: Callable[[Batch], int]) -> Document:
    batch, seconds = _batch_of(subject), 0
    if batch:
        batch = stop_batch(batch)
        seconds = 0 if batch.status in ENDED else _wait_seconds(batch, prepare)
        seconds = seconds or _end(batch)
    return subject.document() | {"wait_seconds": seconds}


def _batch_of(subject: BatchReference) -> Batch | None:
    """Return the batch that is to end; None if it is none, or another execution runs it."""
    if subject.arrival:  # what died may not even have come so far
        subject.arrival.take_in(store())
    batch = store().batch(subject.owner, subject.batch)
    # An execution that died before its first step has not claimed its batch.
    is_its = batch and (subject.execution is None or batch.execution in (None, subject.execution))
    return batch if is_its else None


def _wait_seconds(batch: Batch, prepare: Callable[[Batch], int]) -> int:
    now = time.time()
    until = leased_until(os.environ["BATCHES_TABLE"], batch.id, now)
    if until:
        return max(1, until - int(now))
    # Without rows it was cancelled before they were counted, and none was run.
    return prepare(batch) if batch.total else 0


def _end(batch: Batch) -> int:
    """End the batch and tell of it; return in how many seconds to look at it again, if at all."""
    try:
        publish_end(store(), _bucket(), finalize_batch(_bucket(), batch))
    except AlreadyFinalized:  # whoever was faster tells of it, or has broken off
        return 1
    return 0


def _bucket() -> Bucket:
    return Bucket(os.environ["BATCH_BUCKET"])
