"""Writes results to S3 twice a second, in a background thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from llm_relay.batch.model.results import RowResult, format_part
from llm_relay.core.error_log import log_internal_error

if TYPE_CHECKING:
    from llm_relay.aws.s3 import Bucket
    from llm_relay.batch.worker.heartbeat import LeaseHeartbeat
    from llm_relay.core.deadline import Deadline

FLUSH_SECONDS = 0.5
_FLUSH_BYTES = 8 * 1024 * 1024


@dataclass(eq=False)
class PartWriter:
    """Groups results into parts; `on_written` gets them once they are stored.

    Nothing is written while the lease is not valid, as another worker may have the chunk. Results
    are dropped once the lease is lost: the other worker produces them again.
    """

    bucket: Bucket
    key_of: Callable[[int], str]
    heartbeat: LeaseHeartbeat
    on_written: Callable[[list[RowResult]], None]
    is_failing: bool = False
    dropped_results: bool = False
    _pending: list[RowResult] = field(default_factory=list)
    _pending_bytes: int = 0
    _unconfirmed: list[RowResult] = field(default_factory=list)  # of a part whose write has failed
    _parts: int = 0
    _is_closing: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _wake: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, name="part-writer", daemon=True)
        self._thread.start()

    def add(self, result: RowResult) -> None:
        """Queue a result for the next part."""
        with self._lock:
            self._pending.append(result)
            self._pending_bytes += len(result.line)
            is_full = self._pending_bytes >= _FLUSH_BYTES
        if is_full:
            self._wake.set()

    def close(self, deadline: Deadline) -> None:
        """Write all pending results, with retries until the deadline; then raise S3's error."""
        self._is_closing = True
        self._wake.set()
        self._thread.join()
        while (self._unconfirmed or self._pending) and deadline.remaining():
            if not self._try_flush():
                time.sleep(min(FLUSH_SECONDS, deadline.remaining()))
        while self._flush():
            pass
        self.dropped_results = self.dropped_results or bool(self._unconfirmed)

    def _run(self) -> None:
        while not self._is_closing:
            self._wake.wait(FLUSH_SECONDS)
            self._wake.clear()
            self._try_flush()

    def _try_flush(self) -> bool:
        try:
            return self._flush()
        except Exception as error:  # noqa: BLE001 - retried, at last by close()
            self.is_failing = True
            log_internal_error(error, self.key_of(self._parts))
            return False

    def _flush(self) -> bool:
        """Write one part; return whether one was written."""
        with self._lock:  # a failed write is repeated unchanged, as it may have been stored
            if not self._unconfirmed:
                self._unconfirmed, self._pending, self._pending_bytes = self._pending, [], 0
        if self._unconfirmed and self.heartbeat.is_lost:
            self.dropped_results, self._unconfirmed = True, []
        if not self._unconfirmed or not self.heartbeat.is_valid():
            return False
        self.bucket.put_if_absent(self.key_of(self._parts), format_part(self._unconfirmed))
        self._parts += 1
        self.is_failing = False
        written, self._unconfirmed = self._unconfirmed, []
        self.on_written(written)
        return True
