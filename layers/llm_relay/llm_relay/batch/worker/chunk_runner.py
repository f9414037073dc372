"""Runs the rows of a chunk in parallel until they are done or the invocation has to stop."""

from __future__ import annotations

import queue
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llm_relay.batch.model.parts import RowResult
    from llm_relay.batch.worker.chunk_task import StopSignal
    from llm_relay.batch.worker.concurrency import ConcurrencyLimiter, RatePacer
    from llm_relay.batch.worker.provider_call import Outcome, ProviderCall
    from llm_relay.batch.worker.result_recorder import ResultRecorder
    from llm_relay.batch.worker.retry_policy import RetryPolicy
    from llm_relay.batch.worker.row_queue import RowQueue
    from llm_relay.batch.worker.rows import Row
    from llm_relay.core.errors import RelayError

    Event = Outcome | list[RowResult]  # of one row, or results that are stored
    Events = queue.SimpleQueue[Event]

_TICK_SECONDS = 0.25


@dataclass(slots=True, kw_only=True, eq=False)
class ChunkRunner:
    """Starts rows and handles events in one thread; calls and writes happen in other threads."""

    rows: RowQueue
    provider_call: ProviderCall
    recorder: ResultRecorder
    limiter: ConcurrencyLimiter
    pacer: RatePacer
    retry_policy: RetryPolicy
    events: Events
    stop: StopSignal
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
            totals = self.recorder.totals
            totals.max_concurrency = max(totals.max_concurrency, self._in_progress)
            self.pacer.on_start(time.monotonic(), row.spacing_seconds())
            pool.submit(self._run_row, row)

    def _may_start(self) -> bool:
        if self._in_progress >= self.limiter.limit or self.recorder.is_blocked:
            return False
        return time.monotonic() >= max(self._paused_until, self.pacer.next_start)

    def _run_row(self, row: Row) -> None:
        self.events.put(self.provider_call.run(row))

    def _wait_for_event(self) -> None:
        try:
            self._handle(self.events.get(timeout=self._seconds_to_wait()))
        except queue.Empty:
            return

    def _seconds_to_wait(self) -> float:
        if self._in_progress >= self.limiter.limit:
            return _TICK_SECONDS
        retry_at = self.rows.next_retry() or 0.0
        seconds = max(self._paused_until, self.pacer.next_start, retry_at) - time.monotonic()
        is_overdue = seconds < -_TICK_SECONDS  # so rows wait for something else
        return _TICK_SECONDS if is_overdue else min(_TICK_SECONDS, max(0.01, seconds))

    def _handle(self, event: Event) -> None:
        if isinstance(event, list):
            self.recorder.on_written(event)
        else:
            self._on_row_finished(event)

    def _on_row_finished(self, outcome: Outcome) -> None:
        self._in_progress -= 1
        if outcome.failure:
            self._on_failure(outcome, outcome.failure)
            return
        self.retry_policy.on_success()
        self.limiter.on_success(outcome.started, outcome.ended, self._in_progress + 1)
        self._record(outcome)

    def _on_failure(self, outcome: Outcome, failure: RelayError) -> None:
        decision = self.retry_policy.on_failure(outcome.row, failure)
        if decision.reduces_concurrency:
            self.limiter.on_overload(outcome.started, outcome.ended)
        self.recorder.totals.rate_limited += failure.status == HTTPStatus.TOO_MANY_REQUESTS
        self.stop.reason = self.stop.reason or decision.stop
        now = time.monotonic()
        self._paused_until = max(self._paused_until, now + decision.pause_seconds)
        if decision.is_final:
            self._record(outcome)
        else:
            self.rows.retry(outcome.row, now + decision.retry_seconds)

    def _record(self, outcome: Outcome) -> None:
        self.rows.on_finished(outcome.row)
        self.recorder.record(outcome)
