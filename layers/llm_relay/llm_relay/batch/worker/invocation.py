"""One invocation of the batch worker: leases a chunk, runs its rows and reports what is left."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from llm_relay.api.relay import LISTING_TIMEOUT_SECONDS, provider_router
from llm_relay.batch.model.leases import Lease, Leases
from llm_relay.batch.model.names import part_key
from llm_relay.batch.model.record import IN_PROGRESS, Batch
from llm_relay.batch.model.store import bucket, store
from llm_relay.batch.worker.budget import BudgetReservations, settle_abandoned
from llm_relay.batch.worker.chunk_runner import ChunkRunner, Events
from llm_relay.batch.worker.chunk_task import LEASE_LOST, ChunkTask, StopReason, StopSignal
from llm_relay.batch.worker.concurrency import limiter_for
from llm_relay.batch.worker.heartbeat import LeaseHeartbeat
from llm_relay.batch.worker.part_writer import PartWriter
from llm_relay.batch.worker.recovery import read_progress
from llm_relay.batch.worker.result_recorder import ResultRecorder
from llm_relay.batch.worker.retry_policy import RetryPolicy
from llm_relay.batch.worker.row_queue import RowQueue
from llm_relay.batch.worker.rows import endpoint_of, read_rows
from llm_relay.core.deadline import Deadline
from llm_relay.core.error_log import log_internal_error
from llm_relay.providers.completion import complete

CLOSING_SECONDS = 10.0  # of the function's time, reserved to write and count the last results
SERIAL_AFTER_CRASHES = 3  # consecutive crashes of workers after which rows run one at a time


class ChunkFailed(Exception):  # noqa: N818 - Step Functions shows this name to the operator
    """An internal error, without its message: Lambda logs it, and it may quote a row."""


def run_chunk(event: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """Run rows for at most so many seconds; return the next invocation's input, or ChunkFailed."""
    task = ChunkTask.from_event(event)
    try:
        return _run(task, Deadline.after(seconds - CLOSING_SECONDS))
    except Exception as error:  # noqa: BLE001 - the runtime would log its message
        log_internal_error(error, f"{task.batch}/{task.chunk.number}")
        raise ChunkFailed(type(error).__name__) from None


def _run(task: ChunkTask, deadline: Deadline) -> dict[str, Any]:
    output = partial(task.output, silent_invocations=task.silent_invocations)
    leases = Leases(os.environ["BATCHES_TABLE"])
    lease = leases.acquire(task.batch, task.chunk.number)
    if isinstance(lease, int):
        return output(left=task.chunk.rows, wait_seconds=lease)
    # Read only now: a batch ends by a change of its status before the search for leases.
    batch = store().batch(task.owner, task.batch)
    if batch and batch.status == IN_PROGRESS and batch.expires_at > time.time():
        return _Invocation(task, batch, leases, lease, deadline).run()
    if batch and lease.reservations:
        settle_abandoned(leases, lease, read_progress(bucket(), task.chunk, lease).results)
    leases.release(lease)
    return output(left=0, wait_seconds=0)


@dataclass(eq=False)
class _Invocation:
    """Runs one leased chunk until the deadline."""

    task: ChunkTask
    batch: Batch
    leases: Leases
    lease: Lease
    deadline: Deadline

    def __post_init__(self) -> None:
        self._started = time.monotonic()
        self._bucket = bucket()
        self._events = Events()
        seconds = self.deadline.remaining()
        self._reservations = BudgetReservations(self.batch.client, self.leases, self.lease, seconds)
        self._retry_policy = RetryPolicy(self.task.silent_invocations)
        # At most half of the time is left to rows in progress.
        self._row_seconds = min(provider_router().settings.first_byte_seconds, seconds / 2)

    def run(self) -> dict[str, Any]:
        """Run rows until done or stopped, clean up, and return the output of the function."""
        with ExitStack() as cleanup:  # in reverse order
            heartbeat = LeaseHeartbeat(self.leases, self.lease, self.batch.owner)
            cleanup.callback(heartbeat.close)
            before = read_progress(self._bucket, self.task.chunk, self.lease)
            heartbeat.counts = (before.completed, before.failed)
            settle_abandoned(self.leases, self.lease, before.results)
            key_of = partial(part_key, self.lease.batch, self.lease.chunk, self.lease.attempt)
            writer = PartWriter(self._bucket, key_of, heartbeat, self._events.put)
            recorder = ResultRecorder(self.batch, writer, heartbeat, self._reservations, before)
            last_start = Deadline(self.deadline.at - self._row_seconds)
            stop = StopSignal(self.batch, self.lease, heartbeat, last_start)
            is_serial = self.lease.crash_count >= SERIAL_AFTER_CRASHES
            threads = 1 if is_serial else int(os.environ.get("BATCH_CONCURRENCY", "128"))
            runner = self._runner(recorder, stop, threads)
            cleanup.callback(recorder.close)
            cleanup.callback(runner.handle_events)
            cleanup.callback(writer.close, Deadline(self.deadline.at + CLOSING_SECONDS / 2))
            cleanup.callback(runner.handle_events)
            # Loads the key of the first provider, before many threads need it at once.
            first_provider = next(iter(provider_router()))
            first_provider.model_entry("", Deadline.after(LISTING_TIMEOUT_SECONDS))
            runner.run(threads)
        return self._output(LEASE_LOST if writer.dropped_results else stop.reason, recorder)

    def _runner(self, recorder: ResultRecorder, stop: StopSignal, threads: int) -> ChunkRunner:
        batch, policy = self.batch, self._retry_policy
        done, on_invalid = recorder.previous.done, recorder.writer.add
        rows = read_rows(self._bucket, batch, self.task.chunk, done, on_invalid)
        limiter = limiter_for(batch.id, threads)
        if self.task.silent_invocations:
            limiter.restart(1)  # calls that break off may be billed
        return ChunkRunner(
            rows=RowQueue(rows, self._reservations, recorder, policy, stop),
            complete=partial(complete, provider_router(), endpoint_of(batch)),
            row_seconds=self._row_seconds,
            recorder=recorder,
            limiter=limiter,
            retry_policy=policy,
            events=self._events,
            stop=stop,
        )

    def _output(self, stop: StopReason | None, recorder: ResultRecorder) -> dict[str, Any]:
        if stop:
            until_expiry = max(1, self.batch.expires_at - int(time.time()))
            stop = replace(stop, wait_seconds=min(stop.wait_seconds, until_expiry))
        is_over = stop is None or stop.ends_chunk or stop.gives_up
        left = 0 if is_over else recorder.left
        failure = self._retry_policy.last_failure if stop else None
        seconds = time.monotonic() - self._started
        recorder.report(self.task.chunk.number, left, stop, failure, seconds)
        has_response = self._retry_policy.provider_responded
        return self.task.output(
            left=left,
            wait_seconds=stop.wait_seconds if stop else 0,
            silent_invocations=0 if has_response else self.task.silent_invocations + 1,
        )
