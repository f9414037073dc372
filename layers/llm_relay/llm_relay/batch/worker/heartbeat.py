"""Renews a worker's lease and reports its progress to the batch, in a background thread."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from llm_relay.batch.model.record import IN_PROGRESS
from llm_relay.batch.model.store import store
from llm_relay.core.error_log import log_internal_error

if TYPE_CHECKING:
    from llm_relay.batch.model.leases import Lease, Leases

HEARTBEAT_SECONDS = 2.0


class LeaseHeartbeat:
    """Keeps one lease until it is closed."""

    def __init__(self, leases: Leases, lease: Lease, owner: str) -> None:
        self._leases = leases
        self._lease = lease
        self._owner = owner
        self._valid_until = lease.valid_until
        # How many rows of the chunk are written, by all workers so far: completed, and failed.
        self.counts = self._reported = (lease.completed, lease.failed)
        self.batch_in_progress = True  # otherwise it is cancelled, or has ended
        self.is_lost = False
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lease-heartbeat", daemon=True)
        self._thread.start()

    def is_valid(self) -> bool:
        """Return whether no other worker can have the chunk; may be true again after a renewal."""
        return time.monotonic() < self._valid_until

    def close(self) -> None:
        """Report the last counts and release the lease."""
        self._closed.set()
        self._thread.join()
        try:
            if not self.is_lost:
                self._renew()
            self._leases.release(self._lease)
        except Exception as error:  # noqa: BLE001 - the lease expires; finalization counts again
            log_internal_error(error, self._lease.batch)

    def _run(self) -> None:
        while not self.is_lost and not self._closed.wait(HEARTBEAT_SECONDS):
            try:
                self._renew()
            except Exception as error:  # noqa: BLE001 - retried until another worker has the chunk
                log_internal_error(error, self._lease.batch)

    def _renew(self) -> None:
        counts = self.counts
        valid_until = self._leases.renew(self._lease, *counts)
        if valid_until and self.is_valid():
            self._valid_until = valid_until
            self._report(counts)
            return
        if valid_until:
            # Finalization may have found the lease expired and be reading the results already.
            self._report(self._reported)
            if self.batch_in_progress:
                self._valid_until = valid_until
                return
        self.is_lost, self._valid_until = True, 0.0

    def _report(self, counts: tuple[int, int]) -> None:
        completed, failed = (new - old for new, old in zip(counts, self._reported, strict=True))
        batch = store().add_counts(self._owner, self._lease.batch, completed, failed)
        self._reported = counts
        self.batch_in_progress = bool(batch and batch.status == IN_PROGRESS)
