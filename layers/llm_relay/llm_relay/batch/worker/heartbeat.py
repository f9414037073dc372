"""Keeps a worker's lease and tells the batch of its progress, in a thread of its own."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from llm_relay.batch.model.record import IN_PROGRESS
from llm_relay.core.error_log import log_internal_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from llm_relay.batch.model.leases import Lease, Leases
    from llm_relay.batch.model.store import Store

TELL_SECONDS = 2.0


class LeaseHeartbeat:
    """The lease of one invocation; `on_news` is called when its work must stop."""

    def __init__(
        self,
        *,
        leases: Leases,
        lease: Lease,
        store: Store,
        owner: str,
        on_news: Callable[[], None],
    ) -> None:
        self._leases = leases
        self._lease = lease
        self._store = store
        self._owner = owner
        self._on_news = on_news
        self._lives_until = lease.valid_until
        self._before = self._counts = self._told = (lease.completed, lease.failed)
        self.is_in_progress = True  # the batch; otherwise it is being cancelled, or over
        self.is_lost = False  # the lease, for good
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="clerk", daemon=True)
        self._thread.start()

    def lives(self) -> bool:
        """Tell whether the chunk is ours for sure; it may be so again later, if it is not lost."""
        return time.monotonic() < self._lives_until

    def begin_at(self, completed: int, failed: int) -> None:
        """Take the counts of what invocations before this one have written."""
        self._before = self._counts = (completed, failed)

    def tally(self, completed: int, failed: int) -> None:
        """Take the counts of what this invocation has written."""
        self._counts = (self._before[0] + completed, self._before[1] + failed)

    def close(self) -> None:
        """Tell for the last time, and give the lease back."""
        self._is_over.set()
        self._thread.join()
        try:
            if not self.is_lost:
                self._tell()
            self._leases.release(self._lease)
        except Exception as error:  # noqa: BLE001 - it ends by itself, and counts are made anew
            log_internal_error(error, self._lease.batch)

    def _run(self) -> None:
        while not self._is_over.wait(TELL_SECONDS):
            try:
                self._tell()
            except Exception as error:  # noqa: BLE001 - tried again until others have the chunk
                log_internal_error(error, self._lease.batch)
            if self.is_lost or not self.is_in_progress:
                self._on_news()
            if self.is_lost:
                return

    def _tell(self) -> None:
        """Renew the lease and tell what is new."""
        counts = self._counts
        renewed = self._leases.renew(self._lease, *counts)
        if not renewed:
            self._lose()
        elif self.lives():
            self._lives_until = renewed
            self._count(counts)
        else:
            # Whoever ends the batch may have seen no lease, and be reading the results already.
            self._count(self._told)
            if self.is_in_progress:
                self._lives_until = renewed
            else:
                self._lose()

    def _count(self, counts: tuple[int, int]) -> None:
        completed, failed = (new - old for new, old in zip(counts, self._told, strict=True))
        batch = self._store.count(self._owner, self._lease.batch, completed, failed)
        self._told = counts
        self.is_in_progress = bool(batch and batch.status == IN_PROGRESS)

    def _lose(self) -> None:
        self.is_lost, self._lives_until = True, 0.0
