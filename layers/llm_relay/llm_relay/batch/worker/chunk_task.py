"""The task of one worker invocation: its input and output, its rows, and why it stops."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from llm_relay.batch.model.input_file import Chunk
from llm_relay.batch.model.leases import LEASE_SECONDS, Lease, RowsReservation

if TYPE_CHECKING:
    from llm_relay.batch.model.record import Batch
    from llm_relay.batch.model.results import RowResult
    from llm_relay.batch.worker.heartbeat import LeaseHeartbeat
    from llm_relay.core.deadline import Deadline
    from llm_relay.core.errors import RelayError
    from llm_relay.providers.completion import Completion
    from llm_relay.providers.provider import Provider

# A Step Functions execution may have 25,000 events, and an invocation adds nine. Invocations
# beyond this number wait long enough to fit into the rest of a day.
UNTHROTTLED_INVOCATIONS = 500
THROTTLED_WAIT_SECONDS = 45
MAX_CRASHES = 6  # consecutive crashes of workers after which a chunk ends


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkTask:
    """What Step Functions passes from one invocation for a chunk to the next."""

    owner: str
    batch: str
    chunk: Chunk
    silent_invocations: int = 0  # consecutive invocations without a response of the provider
    invocations: int = 0  # before this one

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> ChunkTask:
        """Read the input of the function."""
        known = {name: event[name] for name in cls.__slots__ if name in event}
        return cls(**known | {"chunk": Chunk.from_document(event["chunk"])})

    def output(self, *, left: int, wait_seconds: int, silent_invocations: int) -> dict[str, Any]:
        """Return the output of the function: the next input if `left` rows remain."""
        count = self.invocations + 1
        if left and count > UNTHROTTLED_INVOCATIONS:
            wait_seconds = max(wait_seconds, THROTTLED_WAIT_SECONDS)
        after = replace(self, invocations=count, silent_invocations=silent_invocations)
        return asdict(after) | {"left": left, "wait_seconds": wait_seconds}


@dataclass(slots=True, kw_only=True, eq=False)
class ReservedRows:
    """Rows that share a reservation, and the usage of those that are written."""

    reservation: RowsReservation
    unwritten: int = 0
    usage: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))  # by model

    def add_result(self, result: RowResult, model: str) -> bool:
        """Add a written row; return whether it was the last one."""
        self.unwritten -= 1
        if result.is_answer or result.cost_nanos:
            self.usage[model].update(
                requests=1,
                cost_nanos=result.cost_nanos,
                tokens_in=result.tokens_in,
                tokens_out=result.tokens_out,
            )
        return not self.unwritten


@dataclass(slots=True, kw_only=True, eq=False)
class Row:
    """One row until its result is recorded."""

    row: int  # counted from 0 over the whole file
    custom_id: str
    model: str  # as requested
    bytes: int  # of its line
    max_cost_nanos: int  # the most it may cost; 0 without a budget
    # The body for each provider that accepts the row, in the order of preference.
    bodies: Mapping[Provider, dict[str, Any]] = field(default_factory=dict)
    reserved: ReservedRows | None = None  # None without a budget
    failures: int = 0  # refusals of this row itself
    successes_before: int = 0  # of other rows, when this one first failed
    # Of the last call; times are on the monotonic clock.
    started: float = 0.0
    ended: float = 0.0
    result: Completion | RelayError | None = None
    may_be_billed: bool = False  # although it failed

    def spacing_seconds(self) -> float:
        """Return the seconds to leave after it, by the provider with the most capacity left."""
        return min(each.client.rate_limits.spacing_seconds(self.model) for each in self.bodies)


@dataclass(frozen=True, slots=True, kw_only=True)
class StopReason:
    """Why an invocation starts no more rows."""

    reason: str
    wait_seconds: int = 0  # before the next invocation
    ends_chunk: bool = False  # no invocation follows
    gives_up: bool = False  # the remaining rows become error lines


OUT_OF_TIME = StopReason(reason="time")
LEASE_LOST = StopReason(reason="lease_lost", wait_seconds=LEASE_SECONDS)
INPUT_CHANGED = StopReason(reason="input_changed", ends_chunk=True)


@dataclass(slots=True)
class StopSignal:
    """The reason to stop, once there is one."""

    batch: Batch
    lease: Lease
    heartbeat: LeaseHeartbeat
    last_start: Deadline  # after which no row can finish in time
    reason: StopReason | None = None

    def is_set(self) -> bool:
        """Return whether the invocation has to stop."""
        self.reason = self.reason or self._current_reason()
        return self.reason is not None

    def _current_reason(self) -> StopReason | None:
        if self.lease.crash_count >= MAX_CRASHES:
            return StopReason(reason="workers_crashed", ends_chunk=True)
        if self.heartbeat.is_lost:
            return LEASE_LOST
        if not self.heartbeat.batch_in_progress:
            return StopReason(reason="cancelled", ends_chunk=True)
        if time.time() >= self.batch.expires_at:
            return StopReason(reason="expired", ends_chunk=True)
        return None if self.last_start.remaining() else OUT_OF_TIME
