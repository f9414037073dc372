"""One invocation's work on a chunk: many rows at once, until they are done or it has to stop.

All of this runs in one thread; others ask, write and count, and tell it of events.
"""

from __future__ import annotations

import heapq
import queue
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import TYPE_CHECKING

from llm_relay.batch.model.leases import LEASE_SECONDS
from llm_relay.batch.worker.budget import LeaseLost
from llm_relay.batch.worker.retry_policy import StopReason
from llm_relay.batch.worker.rows import InputChanged
from llm_relay.core.error_log import log_internal_error
from llm_relay.core.errors import (
    BudgetExceeded,
    InternalError,
    LedgerUnavailable,
    PricesUnavailable,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from llm_relay.batch.worker.budget import BudgetReservations
    from llm_relay.batch.worker.concurrency import ConcurrencyLimiter
    from llm_relay.batch.worker.provider_call import Outcome, ProviderCall
    from llm_relay.batch.worker.rate_pacer import RatePacer
    from llm_relay.batch.worker.result_recorder import ResultRecorder, Written
    from llm_relay.batch.worker.retry_policy import RetryPolicy
    from llm_relay.batch.worker.rows import Row, Rows
    from llm_relay.core.errors import RelayError

    # What came of a row, or results that are written, or a call to look for oneself.
    Event = Outcome | Written | None
    Events = queue.SimpleQueue[Event]

# For a client whose other calls hold what is left of the budget.
BUDGET_WAIT_SECONDS = 30
# For DynamoDB, if it did not take what rows have cost.
SETTLE_WAIT_SECONDS = 5
_HELD_BYTES = 64 * 1024 * 1024
_TICK_SECONDS = 0.25
# At a budget that is too small, before the results so far are counted.
_LOOKS = 50

LEASE_LOST = StopReason(reason="lease_lost", wait_seconds=LEASE_SECONDS)
INPUT_CHANGED = StopReason(reason="input_changed", ends_chunk=True)


class ChunkRunner:
    """Runs rows until `must_stop` says why not; `events` tell of the work of others."""

    def __init__(  # noqa: PLR0913 - it brings together what others do
        self,
        *,
        rows: Rows,
        asking: ProviderCall,
        books: ResultRecorder,
        purse: BudgetReservations,
        pace: ConcurrencyLimiter,
        spacing: RatePacer,
        outlook: RetryPolicy,
        events: Events,
        must_stop: Callable[[], StopReason | None],
    ) -> None:
        self._rows = rows
        self._asking = asking
        self._books = books
        self._purse = purse
        self._pace = pace
        self._spacing = spacing
        self._outlook = outlook
        self._events = events
        self._must_stop = must_stop
        self._ready: deque[Row] = deque()
        self._later: list[tuple[float, int, Row]] = []  # to be asked again, by when
        self._paused_until = 0.0
        self._under_way = 0
        self._held_bytes = 0
        self._short_at = -1  # how much was settled when the budget was too small
        self.stop: StopReason | None = None
        self.most_under_way = 0
        self.limited = 0  # refusals for load

    def run(self, threads: int) -> None:
        """Work until every row is done or no more are to be taken; what is under way is ended."""
        with ThreadPoolExecutor(threads, thread_name_prefix="row") as pool:
            while True:
                self._take_rows(pool)
                if not self._under_way and (self.stop or not self._has_rows()):
                    break
                self._listen()
        self.stop = self._outlook.in_the_end(self.stop)
        if self.stop and self.stop.gives_up and self._outlook.last:
            self._give_up(self._outlook.last)

    def drain(self) -> None:
        """Learn what came in after the work."""
        while not self._events.empty():
            self._do(self._events.get())

    def _has_rows(self) -> bool:
        return bool(self._ready or self._later or self._fill())

    def _fill(self) -> bool:
        try:
            return self._rows.fill()
        except InputChanged:
            self.stop = INPUT_CHANGED
            return False
        except PricesUnavailable as unavailable:
            self.stop = self._outlook.down(unavailable)
            return False
        except Exception as error:  # noqa: BLE001 - what is under way must not be lost for it
            log_internal_error(error, "rows")
            self.stop = self._outlook.down(InternalError("The batch's file could not be read."))
            return False

    def _take_rows(self, pool: ThreadPoolExecutor) -> None:
        while not self._is_stopped() and self._may_take() and (row := self._next_row()):
            self._under_way += 1
            self.most_under_way = max(self.most_under_way, self._under_way)
            self._spacing.taken(row, time.monotonic())
            pool.submit(self._ask, row)

    def _may_take(self) -> bool:
        is_free = self._under_way < self._pace.limit and not self._books.is_behind
        return is_free and time.monotonic() >= max(self._paused_until, self._spacing.due)

    def _ask(self, row: Row) -> None:
        self._events.put(self._asking.ask(row))

    def _next_row(self) -> Row | None:
        if self._later and self._later[0][0] <= time.monotonic():
            return heapq.heappop(self._later)[2]
        if not self._ready and self._held_bytes < _HELD_BYTES:
            self._buy()
        return self._ready.popleft() if self._ready else None

    def _buy(self) -> None:
        """Take the next rows, with the money for them."""
        for _ in range(_LOOKS):
            if self._ready or self._is_stopped() or not (self._is_worth_a_look() and self._fill()):
                break
            try:
                self._pay()
            except LedgerUnavailable as unavailable:
                self.stop = self._outlook.down(unavailable)
            except LeaseLost:
                self.stop = LEASE_LOST
        self._held_bytes += sum(row.bytes for row in self._ready)

    def _is_stopped(self) -> bool:
        self.stop = self.stop or self._must_stop()
        return self.stop is not None

    def _is_worth_a_look(self) -> bool:
        return not self._purse.is_spending or self._short_at != self._purse.settled

    def _pay(self) -> None:
        try:
            self._ready.extend(self._purse.take(self._rows.pending))
        except BudgetExceeded as exceeded:
            self._go_without(exceeded)

    def _go_without(self, exceeded: BudgetExceeded) -> None:
        """Wait for money to come back, from us or others; if none will, refuse what is too dear."""
        if self._purse.is_spending:
            self._short_at = self._purse.settled
        elif self._purse.open:  # and could not be settled
            self.stop = self._outlook.wait("budget_unsettled", SETTLE_WAIT_SECONDS, exceeded)
        elif self._purse.others_hold():
            self.stop = self._outlook.wait("budget", BUDGET_WAIT_SECONDS, exceeded)
        else:
            self._refuse_the_dear(exceeded)

    def _refuse_the_dear(self, exceeded: BudgetExceeded) -> None:
        """Refuse the next row, and those after it that cost no less, without asking for each."""
        pending = self._rows.pending
        dear = pending[0].worst_nanos
        while pending and pending[0].worst_nanos >= dear:
            self._books.refuse(pending.popleft(), exceeded)

    def _listen(self) -> None:
        try:
            self._do(self._events.get(timeout=self._seconds_to_wait()))
        except queue.Empty:
            return

    def _seconds_to_wait(self) -> float:
        now = time.monotonic()
        is_waiting = self._later or now < self._spacing.due
        if not is_waiting or self._under_way >= self._pace.limit:
            return _TICK_SECONDS
        later = self._later[0][0] if self._later and not self._ready else now
        due = max(self._paused_until, self._spacing.due, later) - now
        return min(_TICK_SECONDS, max(0.01, due))

    def _do(self, event: Event) -> None:
        if isinstance(event, list):
            self._books.written(event)
        elif event:
            self._learn(event)

    def _learn(self, event: Outcome) -> None:
        self._under_way -= 1
        if event.failure:
            self._after(event, event.failure)
            return
        self._outlook.answered()
        self._pace.answered(event.started, event.ended, self._under_way + 1)
        self._finish(event)

    def _after(self, outcome: Outcome, failure: RelayError) -> None:
        row, advice = outcome.row, self._outlook.failed(outcome.row, failure)
        if advice.eases:
            self._pace.refused(outcome.started, outcome.ended)
        self.limited += failure.status == HTTPStatus.TOO_MANY_REQUESTS
        self.stop = self.stop or advice.stop
        now = time.monotonic()
        self._paused_until = max(self._paused_until, now + advice.pause_seconds)
        if advice.is_final:
            self._finish(outcome)
        else:
            heapq.heappush(self._later, (now + advice.again_seconds, row.row, row))

    def _finish(self, outcome: Outcome) -> None:
        self._held_bytes -= outcome.row.bytes
        self._books.enter(outcome)

    def _give_up(self, failure: RelayError) -> None:
        for row in [*self._ready, *(row for _, _, row in self._later)]:
            self._books.refuse(row, failure)
        while self._fill():
            self._books.refuse(self._rows.pending.popleft(), failure)
