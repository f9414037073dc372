"""One line for an invocation of the batch worker, log and metrics at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llm_relay.billing.money import usd_of
from llm_relay.core.errors import ProviderKeyRejected
from llm_relay.observability.metrics import write_line

if TYPE_CHECKING:
    from llm_relay.batch.model.record import Batch
    from llm_relay.batch.worker.chunk_runner import ChunkRunner
    from llm_relay.batch.worker.result_recorder import Totals
    from llm_relay.batch.worker.retry_policy import StopReason
    from llm_relay.core.errors import RelayError

_ROUTE = {"route": "batch worker"}


def report_invocation(  # noqa: PLR0913 - all that there is to tell
    *,
    batch: Batch,
    chunk: int,
    left: int,
    stop: StopReason | None,
    failure: RelayError | None,
    shift: ChunkRunner,
    totals: Totals,
    seconds: float,
) -> None:
    """Tell what an invocation did, and why it stopped."""
    facts = {
        "batch": batch.id,
        "client": batch.client.key_id,
        "chunk": chunk,
        "completed": totals.completed,
        "failed": totals.failed,
        "left": left,
        "tokens_in": totals.tokens_in,
        "tokens_out": totals.tokens_out,
        "cost_usd": usd_of(totals.cost_nanos),
        "stopped": stop.reason if stop else None,
        "wait_seconds": stop.wait_seconds if stop else None,
        "seconds": round(seconds, 3),
    }
    known = {name: fact for name, fact in facts.items() if fact is not None}
    rejected = 1 if isinstance(failure, ProviderKeyRejected) else None
    figures = _figures(left, shift, totals, seconds) | {"ProviderKeyRejected": rejected}
    write_line("batch chunk", known, figures, _ROUTE)


def _figures(
    left: int, shift: ChunkRunner, totals: Totals, seconds: float
) -> dict[str, float | None]:
    done = totals.completed + totals.failed
    return {
        "RowsCompleted": totals.completed,
        "RowsFailed": totals.failed,
        "RowsLeft": left,
        "RowsPerSecond": round(done / seconds, 3) if seconds else None,
        "MaxConcurrency": shift.most_under_way,
        "RateLimited": shift.limited,
        "TokensIn": totals.tokens_in,
        "TokensOut": totals.tokens_out,
        "CostUsd": usd_of(totals.cost_nanos),
        "WorkerDuration": round(seconds * 1000, 1),
    }
