"""The last step of a batch: assembles its results and publishes its end."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

from llm_relay.batch.finalize.compaction import MAX_PARTS, compact_parts
from llm_relay.batch.finalize.merge import AlreadyFinalized
from llm_relay.batch.finalize.notify import publish_end
from llm_relay.batch.finalize.statuses import finalize_batch, stop_batch
from llm_relay.batch.model.execution import BatchReference, batch_reference, run_step
from llm_relay.batch.model.leases import leased_until
from llm_relay.batch.model.record import ENDED, Batch, Document
from llm_relay.batch.model.store import bucket, store
from llm_relay.batch.worker.recovery import settle_remaining
from llm_relay.core.deadline import Deadline


def assemble(event: Mapping[str, Any], seconds: float, max_parts: int = MAX_PARTS) -> Document:
    """Finalize a batch; return `wait_seconds`, after which to call this again (0: done).

    That is the case while workers hold chunks, or if there is more work than `seconds` allow.
    """
    # Work that starts in the first half of the time is finished by the end of the second half.
    deadline = Deadline.after(seconds / 2)
    return run_step(event, lambda: _assemble(batch_reference(event), deadline, max_parts))


def _assemble(reference: BatchReference, deadline: Deadline, max_parts: int) -> Document:
    batch, wait_seconds = _batch_of(reference), 0
    if batch:
        batch = stop_batch(batch)
        if batch.status not in ENDED:
            wait_seconds = _prepare(batch, deadline, max_parts)
        wait_seconds = wait_seconds or _finalize(batch)
    return reference.document() | {"wait_seconds": wait_seconds}


def _batch_of(reference: BatchReference) -> Batch | None:
    """Return the batch to finalize; None if there is none, or another execution runs it."""
    if reference.inbox_object:  # the failed execution may not have registered it
        reference.inbox_object.register(store())
    batch = store().batch(reference.owner, reference.batch)
    # An execution that failed before its first step has not claimed its batch.
    if reference.execution and batch and batch.execution not in (None, reference.execution):
        return None
    return batch


def _prepare(batch: Batch, deadline: Deadline, max_parts: int) -> int:
    """Settle and compact the results; return in how many seconds to continue, 0 if all is done."""
    now = time.time()
    until = leased_until(os.environ["BATCHES_TABLE"], batch.id, now)
    if until:
        return max(1, until - int(now))
    if not batch.total:  # cancelled before its rows were counted: none was run
        return 0
    wait_seconds = settle_remaining(bucket(), batch, deadline)
    return wait_seconds or int(not compact_parts(bucket(), batch, deadline, max_parts))


def _finalize(batch: Batch) -> int:
    try:
        publish_end(store(), bucket(), finalize_batch(bucket(), batch))
    except AlreadyFinalized:  # by another invocation, which may fail before it publishes the end
        return 1
    return 0
