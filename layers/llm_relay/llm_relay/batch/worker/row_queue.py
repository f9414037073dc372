"""Orders the rows of a chunk: new rows, once their budget is reserved, and rows to retry."""

from __future__ import annotations

import heapq
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from llm_relay.batch.model.input_file import InputChanged
from llm_relay.batch.worker.budget import BudgetReservations, LeaseLost
from llm_relay.batch.worker.chunk_task import INPUT_CHANGED, LEASE_LOST, Row, StopSignal
from llm_relay.core.error_log import log_internal_error
from llm_relay.core.errors import BudgetExceeded, InternalError, LedgerUnavailable, RelayError

if TYPE_CHECKING:
    from llm_relay.batch.worker.result_recorder import ResultRecorder
    from llm_relay.batch.worker.retry_policy import RetryPolicy

BUDGET_WAIT_SECONDS = 30  # while other calls of the client have reserved the rest of its budget
SETTLE_WAIT_SECONDS = 5  # while DynamoDB does not accept the cost of rows
# Limits of the rows that are read ahead; a single row may have 8 MiB.
_PENDING_ROWS = 256
_PENDING_BYTES = 16 * 1024 * 1024
_MAX_BYTES = 64 * 1024 * 1024  # of rows that are ready, in progress or to retry
_MAX_REJECTIONS = 50  # for an exceeded budget, before the runner handles events again


@dataclass(slots=True, eq=False)
class RowQueue:
    """The rows that are not in progress; sets the stop signal when none can be taken."""

    unread: Iterator[Row]
    reservations: BudgetReservations
    recorder: ResultRecorder
    retry_policy: RetryPolicy
    stop: StopSignal
    _pending: deque[Row] = field(default_factory=deque)  # without a reservation
    _ready: deque[Row] = field(default_factory=deque)
    _retry_queue: list[tuple[float, int, Row]] = field(default_factory=list)  # by time
    _bytes: int = 0
    _settled_when_budget_ran_out: int = -1

    def has_rows(self) -> bool:
        """Return whether rows are left to run."""
        return bool(self._ready or self._retry_queue or self._read_ahead())

    def next_row(self) -> Row | None:
        """Return the row to start now, if there is one."""
        if self._retry_queue and self._retry_queue[0][0] <= time.monotonic():
            return heapq.heappop(self._retry_queue)[2]
        if not self._ready and self._bytes < _MAX_BYTES:
            self._reserve_rows()
        return self._ready.popleft() if self._ready else None

    def next_retry(self) -> float | None:
        """Return the monotonic time before which no row can start; None if it is unknown."""
        return self._retry_queue[0][0] if self._retry_queue and not self._ready else None

    def retry(self, row: Row, at: float) -> None:
        """Queue a started row for a retry at a monotonic time."""
        heapq.heappush(self._retry_queue, (at, row.row, row))

    def on_finished(self, row: Row) -> None:
        """Make room for other rows."""
        self._bytes -= row.bytes

    def reject_all(self, failure: RelayError) -> None:
        """Record all remaining rows as failed."""
        for row in [*self._ready, *(row for _, _, row in self._retry_queue)]:
            self.recorder.reject(row, failure)
        while self._read_ahead():
            self.recorder.reject(self._pending.popleft(), failure)

    def _read_ahead(self) -> bool:
        pending_bytes = sum(row.bytes for row in self._pending)
        try:
            while len(self._pending) < _PENDING_ROWS and pending_bytes < _PENDING_BYTES:
                row = next(self.unread, None)
                if row is None:
                    break
                self._pending.append(row)
                pending_bytes += row.bytes
        except InputChanged:
            self.stop.reason = INPUT_CHANGED
        except RelayError as unavailable:  # the prices
            self.stop.reason = self.retry_policy.provider_down(unavailable)
        except Exception as error:  # noqa: BLE001 - rows in progress must still be recorded
            log_internal_error(error, "rows")
            failure = InternalError("The batch's file could not be read.")
            self.stop.reason = self.retry_policy.provider_down(failure)
        else:
            return bool(self._pending)
        return False

    def _reserve_rows(self) -> None:
        for _ in range(_MAX_REJECTIONS):
            if self._ready or self.stop.is_set() or self._awaits_budget() or not self._read_ahead():
                break
            try:
                self._reserve_pending()
            except LedgerUnavailable as unavailable:
                self.stop.reason = self.retry_policy.provider_down(unavailable)
            except LeaseLost:
                self.stop.reason = LEASE_LOST
        self._bytes += sum(row.bytes for row in self._ready)

    def _reserve_pending(self) -> None:
        try:
            self._ready.extend(self.reservations.reserve(self._pending))
        except BudgetExceeded as exceeded:
            self._on_budget_exceeded(exceeded)

    def _awaits_budget(self) -> bool:
        is_unchanged = self._settled_when_budget_ran_out == self.reservations.settled_count
        return is_unchanged and self.reservations.has_unwritten_rows

    def _on_budget_exceeded(self, exceeded: BudgetExceeded) -> None:
        """Wait until reserved budget may be released; reject the rows that can never fit."""
        if self.reservations.has_unwritten_rows:
            self._settled_when_budget_ran_out = self.reservations.settled_count
        elif self.reservations.unsettled:
            reason, seconds = "budget_unsettled", SETTLE_WAIT_SECONDS
            self.stop.reason = self.retry_policy.wait(reason, seconds, exceeded)
        elif self.reservations.others_have_reservations():
            self.stop.reason = self.retry_policy.wait("budget", BUDGET_WAIT_SECONDS, exceeded)
        else:
            too_much = self._pending[0].max_cost_nanos
            while self._pending and self._pending[0].max_cost_nanos >= too_much:
                self.recorder.reject(self._pending.popleft(), exceeded)
