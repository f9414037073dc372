"""Runs the rows of a chunk in parallel until they are done or the invocation has to stop."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING

from llm_relay.batch.model.names import row_request_id
from llm_relay.batch.worker.concurrency import ConcurrencyLimiter, RatePacer
from llm_relay.core.deadline import Deadline
from llm_relay.core.error_log import log_internal_error
from llm_relay.core.errors import POSSIBLY_BILLED, InternalError, RelayError
from llm_relay.providers.client import AttemptTracker

if TYPE_CHECKING:
    from llm_relay.batch.model.results import RowResult
    from llm_relay.batch.worker.chunk_task import Row, StopSignal
    from llm_relay.batch.worker.result_recorder import ResultRecorder
    from llm_relay.batch.worker.retry_policy import RetryPolicy
    from llm_relay.batch.worker.row_queue import RowQueue
    from llm_relay.core.defaults import Document
    from llm_relay.providers.completion import Completion
    from llm_relay.providers.provider import Provider

    Complete = Callable[[Mapping[Provider, Document], Deadline, AttemptTracker], Completion]
    Event = Row | list[RowResult]  # a row after its call, or results that are stored

Events = queue.SimpleQueue["Event"]
_TICK_SECONDS = 0.25


@dataclass(slots=True, kw_only=True, eq=False)
class ChunkRunner:
    """Starts rows and handles events in one thread; calls and writes happen in other threads."""

    rows: RowQueue
    complete: Complete  # calls a provider
    row_seconds: float  # the timeout of each row
    recorder: ResultRecorder
    limiter: ConcurrencyLimiter
    retry_policy: RetryPolicy
    events: Events
    stop: StopSignal
    _pacer: RatePacer = field(default_factory=RatePacer)
    _in_progress: int = 0
    _paused_until: float = 0.0

    def run(self, threads: int) -> None:
        """Run rows until all are done or the stop signal is set; started rows are finished."""
        with ThreadPoolExecutor(threads, thread_name_prefix="row") as pool:
            while True:
                self._start_rows(pool)
                if not self._in_progress and (self.stop.reason or not self.rows.has_rows()):
                    break
                self._wait_for_event()
        reason = self.stop.reason = self.retry_policy.final_reason(self.stop.reason)
        if reason and reason.gives_up and self.retry_policy.last_failure:
            self.rows.reject_all(self.retry_policy.last_failure)

    def handle_events(self) -> None:
        """Handle all events that are waiting."""
        while not self.events.empty():
            self._handle(self.events.get())

    def _start_rows(self, pool: ThreadPoolExecutor) -> None:
        while not self.stop.is_set() and self._may_start() and (row := self.rows.next_row()):
            self._in_progress += 1
            self.recorder.max_concurrency = max(self.recorder.max_concurrency, self._in_progress)
            self._pacer.on_start(time.monotonic(), row.spacing_seconds())
            pool.submit(self._run_row, row)

    def _may_start(self) -> bool:
        if self._in_progress >= self.limiter.limit or self.recorder.is_blocked:
            return False
        return time.monotonic() >= max(self._paused_until, self._pacer.next_start)

    def _run_row(self, row: Row) -> None:
        tracker = AttemptTracker()
        row.started = time.monotonic()
        try:
            deadline = Deadline.after(self.row_seconds)
            row.result = self.complete(row.bodies, deadline, tracker)
        except RelayError as error:
            row.result = error
        except Exception as error:  # noqa: BLE001 - fails this row, not the other rows
            log_internal_error(error, row_request_id(self.stop.batch.id, row.row))
            row.result = InternalError("The relay itself failed. Its log has the line's id.")
        row.ended = time.monotonic()
        row.may_be_billed = tracker.attempts > 0 and isinstance(row.result, POSSIBLY_BILLED)
        self.events.put(row)

    def _wait_for_event(self) -> None:
        try:
            self._handle(self.events.get(timeout=self._seconds_to_wait()))
        except queue.Empty:
            return

    def _seconds_to_wait(self) -> float:
        if self._in_progress >= self.limiter.limit:
            return _TICK_SECONDS
        retry_at = self.rows.next_retry() or 0.0
        seconds = max(self._paused_until, self._pacer.next_start, retry_at) - time.monotonic()
        is_overdue = seconds < -_TICK_SECONDS  # so rows wait for something else
        return _TICK_SECONDS if is_overdue else min(_TICK_SECONDS, max(0.01, seconds))

    def _handle(self, event: Event) -> None:
        if isinstance(event, list):
            self.recorder.on_written(event)
        else:
            self._on_row_finished(event)

    def _on_row_finished(self, row: Row) -> None:
        self._in_progress -= 1
        if isinstance(row.result, RelayError):
            self._on_failure(row, row.result)
            return
        self.retry_policy.on_success()
        self.limiter.on_success(row.started, row.ended, self._in_progress + 1)
        self._record(row)

    def _on_failure(self, row: Row, failure: RelayError) -> None:
        decision = self.retry_policy.on_failure(row, failure)
        if decision.reduces_concurrency:
            self.limiter.on_overload(row.started, row.ended)
        self.recorder.rate_limited += failure.status == HTTPStatus.TOO_MANY_REQUESTS
        self.stop.reason = self.stop.reason or decision.stop
        now = time.monotonic()
        self._paused_until = max(self._paused_until, now + decision.pause_seconds)
        if decision.is_final:
            self._record(row)
        else:
            self.rows.retry(row, now + decision.retry_seconds)

    def _record(self, row: Row) -> None:
        self.rows.on_finished(row)
        self.recorder.record(row)
