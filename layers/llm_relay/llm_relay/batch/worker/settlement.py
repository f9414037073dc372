"""Settles the money that killed workers have left set aside, when no worker comes after them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from llm_relay.batch.model.leases import Leases, chunks_with_reservations
from llm_relay.batch.model.manifest import parse_manifest
from llm_relay.batch.model.names import manifest_key
from llm_relay.batch.worker.budget import BudgetReservations
from llm_relay.batch.worker.progress import progress_of

if TYPE_CHECKING:
    from llm_relay.aws.s3 import Bucket
    from llm_relay.batch.model.leases import Lease
    from llm_relay.batch.model.manifest import Chunk
    from llm_relay.batch.model.record import Batch
    from llm_relay.core.deadline import Deadline


def settle_remaining(bucket: Bucket, batch: Batch, soon: Deadline) -> int:
    """Charge what killed workers have written of a batch that takes no more rows.

    Return in how many seconds to go on; 0 if all is settled.
    """
    if batch.client.budget_nanos is None:
        return 0
    table = os.environ["BATCHES_TABLE"]
    unsettled = chunks_with_reservations(table, batch.id)
    if not unsettled:
        return 0
    for chunk in parse_manifest(bucket.get(manifest_key(batch.id))):
        if chunk.number in unsettled:
            wait_seconds = _settle(Leases(table), bucket, batch, chunk)
            if wait_seconds or not soon.remaining():
                return wait_seconds or 1
    return 0


def _settle(leases: Leases, bucket: Bucket, batch: Batch, chunk: Chunk) -> int:
    lease = leases.acquire(batch.id, chunk.number)
    if isinstance(lease, int):  # a worker that finds the batch ending, and settles as well
        return lease
    try:
        settle_chunk(bucket, batch, chunk, leases, lease)
    finally:
        leases.release(lease)
    return 0


def settle_chunk(bucket: Bucket, batch: Batch, chunk: Chunk, leases: Leases, lease: Lease) -> None:
    """Charge what killed workers have written of a chunk, which is ours and runs no more."""
    attempts = {kept.attempt for kept in lease.reservations.values()}
    progress = progress_of(bucket, batch.id, chunk, attempts)
    BudgetReservations(batch.client, leases, lease, seconds=0).settle_left(progress.kept)
