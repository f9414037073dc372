"""Keeps a worker's lease and tells the batch of its progress, in a thread of its own."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from llm_relay.batch.record import IN_PROGRESS
from llm_relay.telemetry import log_internal_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from llm_relay.batch.leases import Lease, Leases
    from llm_relay.batch.store import Store

TELL_SECONDS = 2.0


class Clerk:
    """The lease of one invocation; `on_news` is called when its work must stop.

    `before` are the rows completed and failed by invocations before this one.
    """

    def __init__(  # noqa: PLR0913 - it stands between all of these
        self,
        *,
        leases: Leases,
        lease: Lease,
        store: Store,
        owner: str,
        before: tuple[int, int],
        on_news: Callable[[], None],
    ) -> None:
        self._leases = leases
        self._lease = lease
        self._store = store
        self._owner = owner
        self._on_news = on_news
        self._lives_until = lease.lives_until
        self._before = self._counts = before
        self._told = (lease.completed, lease.failed)
        self.is_in_progress = True  # the batch; otherwise it is being cancelled, or over
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="clerk", daemon=True)
        self._thread.start()

    def lives(self) -> bool:
        """Tell whether the chunk is ours for sure."""
        return time.monotonic() < self._lives_until

    def tally(self, completed: int, failed: int) -> None:
        """Take the counts of what this invocation has written."""
        self._counts = (self._before[0] + completed, self._before[1] + failed)

    def close(self) -> None:
        """Tell for the last time, and give the lease back."""
        self._is_over.set()
        self._thread.join()
        try:
            if self.lives() and self._tell():
                self._leases.give_back(self._lease)
        except Exception as error:  # noqa: BLE001 - it ends by itself, and counts are made anew
            log_internal_error(error, self._lease.batch)

    def _run(self) -> None:
        while not self._is_over.wait(TELL_SECONDS):
            try:
                is_ours = self._tell()
            except Exception as error:  # noqa: BLE001 - tried again until the lease has ended
                log_internal_error(error, self._lease.batch)
                is_ours = self.lives()
            if not is_ours or not self.is_in_progress:
                self._on_news()
            if not is_ours:
                return

    def _tell(self) -> bool:
        """Renew the lease and tell what is new; return whether the lease is ours."""
        counts = self._counts
        renewed = self._leases.renew(self._lease, *counts)
        self._lives_until = renewed or 0.0
        if not renewed:
            return False
        completed, failed = (new - old for new, old in zip(counts, self._told, strict=True))
        batch = self._store.count(self._owner, self._lease.batch, completed, failed)
        self._told = counts
        self.is_in_progress = bool(batch and batch.status == IN_PROGRESS)
        return True
