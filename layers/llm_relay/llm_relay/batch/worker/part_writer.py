"""Writes results to S3 soon after they are there, in a thread of its own."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Generic, TypeVar

from llm_relay.batch.model.parts import format_part
from llm_relay.core.error_log import log_internal_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from llm_relay.aws.s3 import Bucket
    from llm_relay.batch.model.parts import RowResult
    from llm_relay.core.deadline import Deadline

FLUSH_SECONDS = 0.5
_FLUSH_BYTES = 8 * 1024 * 1024

Tag = TypeVar("Tag")


class PartWriter(Generic[Tag]):
    """Results on their way into parts; each comes with something to tell it by when it is there.

    Nothing is written while `may_write` says no: another worker may have the chunk then. It has
    for sure once `is_lost` says so, and is to find the results anew.
    """

    def __init__(
        self,
        bucket: Bucket,
        key_of: Callable[[int], str],
        may_write: Callable[[], bool],
        is_lost: Callable[[], bool],
        on_written: Callable[[list[tuple[RowResult, Tag]]], None],
    ) -> None:
        self._bucket = bucket
        self._key_of = key_of
        self._may_write = may_write
        self._is_lost = is_lost
        self._on_written = on_written
        self._lock = threading.Lock()
        self._held: list[tuple[RowResult, Tag]] = []
        self._held_bytes = 0
        self._unsure: list[tuple[RowResult, Tag]] = []  # a write of these failed, or seemed to
        self._parts = 0
        self.is_failing = False
        self.has_dropped = False  # results that another worker is to find anew
        self._is_closing = False
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="part-writer", daemon=True)
        self._thread.start()

    def add(self, result: RowResult, tag: Tag) -> None:
        """Take a result to be written."""
        with self._lock:
            self._held.append((result, tag))
            self._held_bytes += len(result.line)
            is_much = self._held_bytes >= _FLUSH_BYTES
        if is_much:
            self._wake.set()

    def close(self, until: Deadline) -> None:
        """Write what is left; raises what S3 raises when the time is over."""
        self._is_closing = True
        self._wake.set()
        self._thread.join()
        while (self._unsure or self._held) and until.remaining():
            if not self._try():
                time.sleep(min(FLUSH_SECONDS, until.remaining()))
        while self._flush():
            pass
        if self._unsure:
            self.has_dropped = True

    def _run(self) -> None:
        while not self._is_closing:
            self._wake.wait(FLUSH_SECONDS)
            self._wake.clear()
            self._try()

    def _try(self) -> bool:
        try:
            return self._flush()
        except Exception as error:  # noqa: BLE001 - it is tried again, in the end by close()
            self.is_failing = True
            log_internal_error(error, self._key_of(self._parts))
            return False

    def _flush(self) -> bool:
        """Write one part; return whether there was anything for it, and the right to."""
        # A write that seemed to fail is made again as it was: it may have been done.
        self._unsure = self._unsure or self._taken()
        if self._unsure and self._is_lost():
            self.has_dropped, self._unsure = True, []
        if not self._unsure or not self._may_write():
            return False
        text = format_part(result for result, _ in self._unsure)
        self._bucket.put_new(self._key_of(self._parts), text)
        self._parts += 1
        self.is_failing = False
        written, self._unsure = self._unsure, []
        self._on_written(written)
        return True

    def _taken(self) -> list[tuple[RowResult, Tag]]:
        with self._lock:
            taken, self._held, self._held_bytes = self._held, [], 0
        return taken
