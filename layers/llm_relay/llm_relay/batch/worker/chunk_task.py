"""The input and the output of one worker invocation, and why it stops."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from llm_relay.batch.model.leases import LEASE_SECONDS, Lease
from llm_relay.batch.model.manifest import Chunk

if TYPE_CHECKING:
    from llm_relay.batch.model.record import Batch
    from llm_relay.batch.worker.heartbeat import LeaseHeartbeat
    from llm_relay.core.deadline import Deadline

# A Step Functions execution may have 25,000 events, and an invocation adds nine. Invocations
# beyond this number wait long enough to fit into the rest of a day.
QUICK_INVOCATIONS = 500
SLOW_INVOCATION_SECONDS = 45
# Consecutive crashes of workers after which a chunk ends.
MAX_CRASHES = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkTask:
    """What Step Functions passes from one invocation for a chunk to the next."""

    owner: str
    batch: str
    chunk: Chunk
    silent_attempts: int = 0  # consecutive invocations without a response of the provider
    invocations: int = 0  # before this one

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> ChunkTask:
        """Read the input of the function."""
        known = {name: event[name] for name in cls.__slots__ if name in event}
        return cls(**known | {"chunk": Chunk.from_document(event["chunk"])})

    def output(self, *, left: int, wait_seconds: int, silent_attempts: int) -> dict[str, Any]:
        """Return the output of the function: the next input if `left` rows remain."""
        count = self.invocations + 1
        if left and count > QUICK_INVOCATIONS:
            wait_seconds = max(wait_seconds, SLOW_INVOCATION_SECONDS)
        after = replace(self, invocations=count, silent_attempts=silent_attempts)
        return asdict(after) | {"left": left, "wait_seconds": wait_seconds}


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
            return StopReason(reason="workers_died", ends_chunk=True)
        if self.heartbeat.is_lost:
            return LEASE_LOST
        if not self.heartbeat.batch_in_progress:
            return StopReason(reason="cancelled", ends_chunk=True)
        if time.time() >= self.batch.expires_at:
            return StopReason(reason="expired", ends_chunk=True)
        return None if self.last_start.remaining() else OUT_OF_TIME
