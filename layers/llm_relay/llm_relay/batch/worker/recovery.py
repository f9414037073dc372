"""Reads earlier workers' results of a chunk, and settles their unsettled reservations."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from llm_relay.batch.model.input_file import Chunk, parse_manifest
from llm_relay.batch.model.leases import Lease, Leases, chunks_with_reservations
from llm_relay.batch.model.names import manifest_key, parts_prefix
from llm_relay.batch.model.results import ResultTotals, RowResult, parse_part, read_parts
from llm_relay.batch.worker.budget import settle_abandoned

if TYPE_CHECKING:
    from llm_relay.aws.s3 import Bucket
    from llm_relay.batch.model.record import Batch
    from llm_relay.core.deadline import Deadline


@dataclass(slots=True, kw_only=True)
class ChunkProgress(ResultTotals):
    """The first results of the rows of a chunk that are done."""

    done: bytearray  # one byte per row
    # All results, by attempt, for the attempts that have left reservations.
    results: dict[int, list[RowResult]] = field(default_factory=dict)


def read_progress(bucket: Bucket, chunk: Chunk, lease: Lease) -> ChunkProgress:
    """Read the parts of a chunk."""
    prefix = parts_prefix(lease.batch, chunk.number)
    unsettled_attempts = {each.attempt for each in lease.reservations.values()}
    progress = ChunkProgress(done=bytearray(chunk.rows))
    for key, text in read_parts(bucket, bucket.keys(prefix)):
        results = list(parse_part(text))
        for result in results:
            index = result.row - chunk.first_row
            if not progress.done[index]:
                progress.done[index] = 1
                progress.add(result)
        attempt = int(key.removeprefix(prefix).partition("-")[0])
        if attempt in unsettled_attempts:
            progress.results.setdefault(attempt, []).extend(results)
    return progress


def settle_remaining(bucket: Bucket, batch: Batch, deadline: Deadline) -> int:
    """Charge what crashed workers have written of a batch that runs no more rows.

    Return the seconds after which to continue; 0 if everything is settled.
    """
    if batch.client.budget_nanos is None:
        return 0
    table = os.environ["BATCHES_TABLE"]
    leases, chunks = Leases(table), parse_manifest(bucket.get(manifest_key(batch.id)))
    for number in sorted(chunks_with_reservations(table, batch.id)):
        lease = leases.acquire(batch.id, number)
        if isinstance(lease, int):  # its worker finds that the batch has ended, and settles as well
            return lease
        try:
            results = read_progress(bucket, chunks[number], lease).results
            settle_abandoned(leases, lease, results)
        finally:
            leases.release(lease)
        if not deadline.remaining():
            return 1
    return 0
