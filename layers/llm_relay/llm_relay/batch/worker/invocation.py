"""The batch worker: one invocation's share of a chunk of rows."""

from __future__ import annotations

import os
import queue
import time
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from llm_relay.api.relay import LISTING_SECONDS, providers
from llm_relay.aws.s3 import Bucket
from llm_relay.batch.model.leases import Leases
from llm_relay.batch.model.names import part_key
from llm_relay.batch.model.record import IN_PROGRESS
from llm_relay.batch.model.store import store
from llm_relay.batch.worker.budget import BudgetReservations
from llm_relay.batch.worker.chunk_runner import LEASE_LOST, ChunkRunner
from llm_relay.batch.worker.chunk_task import Task
from llm_relay.batch.worker.concurrency import FIRST_LIMIT, ConcurrencyLimiter
from llm_relay.batch.worker.heartbeat import LeaseHeartbeat
from llm_relay.batch.worker.part_writer import PartWriter
from llm_relay.batch.worker.progress import progress_of
from llm_relay.batch.worker.provider_call import ProviderCall
from llm_relay.batch.worker.rate_pacer import RatePacer
from llm_relay.batch.worker.report import report_invocation
from llm_relay.batch.worker.result_recorder import ResultRecorder
from llm_relay.batch.worker.retry_policy import OUT_OF_TIME, RetryPolicy, StopReason
from llm_relay.batch.worker.rows import Rows, lines_of
from llm_relay.batch.worker.settlement import settle_chunk
from llm_relay.billing.admission import admit
from llm_relay.core.deadline import Deadline
from llm_relay.core.error_log import log_internal_error
from llm_relay.endpoints.endpoint import endpoint_at
from llm_relay.providers.completion import CompletionCall
from llm_relay.providers.dialects.translation import Translation
from llm_relay.validation import model_limits

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from llm_relay.batch.model.leases import Lease
    from llm_relay.batch.model.record import Batch
    from llm_relay.batch.worker.chunk_runner import Events
    from llm_relay.batch.worker.progress import Progress
    from llm_relay.batch.worker.result_recorder import ResultRef, Totals
    from llm_relay.batch.worker.rows import Row
    from llm_relay.billing.admission import Admission
    from llm_relay.endpoints.endpoint import Endpoint
    from llm_relay.providers.completion import Completion
    from llm_relay.providers.provider import Provider

# Kept back from the function's own time, to write and to count what came last.
CLOSING_SECONDS = 10.0
# So many workers of a chunk killed in a row have tried to do too much at once; or, if one row at a
# time does not help either, all others would be killed as well.
CAREFUL_DEATHS = 3
MOST_DEATHS = 6
# Of the batch that this environment has worked on last, with so many threads: the rows of another
# may be harder to answer.
_paces: dict[tuple[str, int], ConcurrencyLimiter] = {}


class ChunkFailed(Exception):  # noqa: N818 - what it is
    """Our own mistake; told without what it was about, as Lambda prints it."""


def work(event: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """Run rows of a chunk for less than that many seconds; return what is left of it."""
    task = Task.from_event(event)
    try:
        return _work(task, seconds)
    except Exception as error:  # noqa: BLE001 - nothing may reach the runtime, which prints it
        log_internal_error(error, f"{task.batch}/{task.chunk.number}")
        raise ChunkFailed(type(error).__name__) from None


def _work(task: Task, seconds: float) -> dict[str, Any]:
    ends = Deadline.after(seconds - CLOSING_SECONDS)
    leases = Leases(os.environ["BATCHES_TABLE"])
    lease = leases.acquire(task.batch, task.chunk.number)
    if isinstance(lease, int):
        return task.answer(left=task.chunk.rows, wait_seconds=lease)
    # Only now: whoever ends a batch changes its state first and looks for leases then.
    batch = store().batch(task.owner, task.batch)
    if batch and batch.status == IN_PROGRESS and batch.expires_at > time.time():
        return WorkerInvocation(task, batch, leases, lease, ends).run()
    if batch and lease.reservations:
        settle_chunk(Bucket(os.environ["BATCH_BUCKET"]), batch, task.chunk, leases, lease)
    leases.release(lease)
    return task.answer(left=0)


def _progress(task: Task, lease: Lease) -> Progress:
    attempts = {kept.attempt for kept in lease.reservations.values()}
    return progress_of(Bucket(os.environ["BATCH_BUCKET"]), task.batch, task.chunk, attempts)


class WorkerInvocation:
    """One invocation that has the lease of its chunk."""

    def __init__(
        self, task: Task, batch: Batch, leases: Leases, lease: Lease, ends: Deadline
    ) -> None:
        self._task = task
        self._batch = batch
        self._leases = leases
        self._lease = lease
        self._started = time.monotonic()
        # Half the time at the most is left to rows that are under way.
        patience = providers().settings.first_byte_seconds
        self._row_seconds = min(patience, ends.remaining() / 2)
        self._last_call = ends.within(ends.remaining() - self._row_seconds)
        self._last_write = Deadline(ends.at + CLOSING_SECONDS / 2)
        self._purse = BudgetReservations(batch.client, leases, lease, ends.remaining())
        self._outlook = RetryPolicy(task.silent_attempts)
        self._threads = 1 if lease.crash_count >= CAREFUL_DEATHS else _concurrency()
        self._bucket = Bucket(os.environ["BATCH_BUCKET"])
        self._events: Events = queue.SimpleQueue()

    def run(self) -> dict[str, Any]:
        """Work, and leave everything in order whatever happens; return the function's output."""
        with ExitStack() as closing:  # in the opposite order
            clerk = self._clerk()
            closing.callback(clerk.close)
            before = _progress(self._task, self._lease)  # which may take longer than a lease lives
            clerk.begin_at(before.completed, before.failed)
            self._purse.settle_left(before.kept)
            writer = self._writer(clerk)
            books = ResultRecorder(self._batch.id, writer, clerk, self._purse, listed)
            shift = self._shift(books, before, partial(self._must_stop, clerk))
            closing.callback(books.close)
            closing.callback(shift.drain)
            closing.callback(writer.close, self._last_write)
            closing.callback(shift.drain)
            _read_key()
            shift.run(self._threads)
        stop = LEASE_LOST if writer.has_dropped else shift.stop
        return self._answer(stop, shift, books.totals, before)

    def _clerk(self) -> LeaseHeartbeat:
        return LeaseHeartbeat(
            leases=self._leases,
            lease=self._lease,
            store=store(),
            owner=self._batch.owner,
            on_news=partial(self._events.put, None),
        )

    def _writer(self, clerk: LeaseHeartbeat) -> PartWriter[ResultRef]:
        lease = self._lease
        key_of = partial(part_key, lease.batch, lease.chunk, lease.attempt)
        return PartWriter(
            self._bucket, key_of, clerk.lives, lambda: clerk.is_lost, self._events.put
        )

    def _shift(
        self, books: ResultRecorder, before: Progress, must_stop: Callable[[], StopReason | None]
    ) -> ChunkRunner:
        batch = self._batch
        lines = lines_of(self._bucket, batch, self._task.chunk, before.done)
        exchange = CompletionCall(providers(), _endpoint(batch))
        return ChunkRunner(
            rows=Rows(batch, lines, partial(admitted, batch), books.refuse_unread),
            asking=ProviderCall(exchange, batch.id, self._row_seconds),
            books=books,
            purse=self._purse,
            pace=self._pace(),
            spacing=RatePacer(spacing),
            outlook=self._outlook,
            events=self._events,
            must_stop=must_stop,
        )

    def _pace(self) -> ConcurrencyLimiter:
        """Return the pace that was found on the batch's chunk before, or a new one."""
        batch, silent_attempts = (self._batch.id, self._threads), self._task.silent_attempts
        known = None if silent_attempts else _paces.get(batch)
        _paces.clear()
        # After silence few rows are risked: what breaks off may have to be paid.
        return _paces.setdefault(
            batch, known or ConcurrencyLimiter(self._threads, 1 if silent_attempts else FIRST_LIMIT)
        )

    def _must_stop(self, clerk: LeaseHeartbeat) -> StopReason | None:
        if self._lease.crash_count >= MOST_DEATHS:
            return StopReason(reason="workers_died", ends_chunk=True)
        if clerk.is_lost:
            return LEASE_LOST
        if not clerk.is_in_progress:
            return StopReason(reason="cancelled", ends_chunk=True)
        if time.time() >= self._batch.expires_at:
            return StopReason(reason="expired", ends_chunk=True)
        return None if self._last_call.remaining() else OUT_OF_TIME

    def _answer(
        self, stop: StopReason | None, shift: ChunkRunner, totals: Totals, before: Progress
    ) -> dict[str, Any]:
        if stop:
            until_expiry = max(1, self._batch.expires_at - int(time.time()))
            stop = replace(stop, wait_seconds=min(stop.wait_seconds, until_expiry))
        is_over = stop is None or stop.ends_chunk or stop.gives_up
        left = 0 if is_over else before.left - totals.completed - totals.failed
        silent_attempts = 0 if self._outlook.has_heard else self._task.silent_attempts + 1
        seconds = time.monotonic() - self._started
        report_invocation(
            batch=self._batch,
            chunk=self._task.chunk.number,
            left=left,
            stop=stop,
            shift=shift,
            failure=self._outlook.last if stop else None,
            totals=totals,
            seconds=seconds,
        )
        return self._task.answer(left, stop.wait_seconds if stop else 0, silent_attempts)


def admitted(batch: Batch, body: dict[str, Any]) -> Admission:
    """Return a row as its client may ask it, of the providers that can take it."""
    client, endpoint = batch.client, _endpoint(batch)
    model = str(body.get("model"))

    def by(source: Provider) -> Admission:
        soon = Deadline.after(LISTING_SECONDS)
        if model_limits.needs_listing(body):
            model_limits.check(body, source.entry(model, soon))
        entry = None if client.budget_nanos is None else source.priced_entry(model, soon)
        endpoint.translate(Translation(source.dialect, b"", body))  # or it is refused
        return admit(client, endpoint.path, body, entry, source.dialect)

    return providers().admission(model, by)


def listed(whole: Completion, asked: str) -> Mapping[str, Any] | None:
    """Return what the provider that has answered lists of its model, if anything."""
    source = providers().named(whole.provider)
    return source.entry_of_answer(whole.model, asked, Deadline.after(LISTING_SECONDS))


def _read_key() -> None:
    """Read the first provider's key, which many threads would do all at once."""
    next(iter(providers())).entry("", Deadline.after(LISTING_SECONDS))


def _endpoint(batch: Batch) -> Endpoint:
    endpoint = endpoint_at(batch.endpoint)
    if endpoint is None:
        raise ValueError(batch.endpoint)
    return endpoint


def spacing(row: Row) -> float:
    """Return how much to leave after a row, by the limits of the provider that has most room."""
    model = str(row.body.get("model"))
    return min(source.provider.rate_limits.spacing_seconds(model) for source in row.bodies)


def _concurrency() -> int:
    return int(os.environ.get("BATCH_CONCURRENCY", "128"))
