"""What Step Functions hands from one invocation for a chunk to the next."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from llm_relay.batch.model.manifest import Chunk

if TYPE_CHECKING:
    from collections.abc import Mapping

# An execution may have 25,000 events, and each turn makes nine: so many turns may be quick. In
# what is left of a day, those after them fit in at this pace.
QUICK_INVOCATIONS = 500
SLOW_INVOCATION_SECONDS = 45


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """The input of one invocation."""

    owner: str
    batch: str
    chunk: Chunk
    silent_attempts: int  # invocations in a row that heard nothing of the provider
    invocations: int = 0  # invocations before this one

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> Task:
        """Read the input of the function."""
        return cls(
            owner=event["owner"],
            batch=event["batch"],
            chunk=Chunk.from_document(event["chunk"]),
            silent_attempts=event["silent_attempts"],
            invocations=event.get("invocations", 0),
        )

    def answer(
        self, left: int, wait_seconds: int = 0, silent_attempts: int | None = None
    ) -> dict[str, Any]:
        """Return the output of the function, which is its next input if rows are left."""
        turns = self.invocations + 1
        if left and turns > QUICK_INVOCATIONS:
            wait_seconds = max(wait_seconds, SLOW_INVOCATION_SECONDS)
        answer = asdict(self) | {"left": left, "wait_seconds": wait_seconds, "invocations": turns}
        return answer if silent_attempts is None else answer | {"silent_attempts": silent_attempts}
