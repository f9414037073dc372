"""Writes the log and metrics line of a worker invocation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llm_relay.billing.money import usd_from_nanos
from llm_relay.core.errors import ProviderKeyRejected, RelayError
from llm_relay.observability.metrics import emit_metrics

if TYPE_CHECKING:
    from llm_relay.batch.model.record import Batch
    from llm_relay.batch.worker.chunk_task import StopReason
    from llm_relay.batch.worker.result_recorder import InvocationTotals


def report_invocation(  # noqa: PLR0913 - the facts of one line
    *,
    batch: Batch,
    chunk: int,
    totals: InvocationTotals,
    left: int,
    stop: StopReason | None,
    failure: RelayError | None,
    seconds: float,
) -> None:
    """Report the results of an invocation and why it stopped."""
    cost_usd, rows = usd_from_nanos(totals.cost_nanos), totals.completed + totals.failed
    facts = {
        "batch": batch.id,
        "client": batch.client.key_id,
        "chunk": chunk,
        "completed": totals.completed,
        "failed": totals.failed,
        "left": left,
        "tokens_in": totals.tokens_in,
        "tokens_out": totals.tokens_out,
        "cost_usd": cost_usd,
        "stopped": stop.reason if stop else None,
        "wait_seconds": stop.wait_seconds if stop else None,
        "seconds": round(seconds, 3),
    }
    metrics = {
        "RowsCompleted": totals.completed,
        "RowsFailed": totals.failed,
        "RowsLeft": left,
        "RowsPerSecond": round(rows / seconds, 3) if seconds else None,
        "MaxConcurrency": totals.max_concurrency,
        "RateLimited": totals.rate_limited,
        "TokensIn": totals.tokens_in,
        "TokensOut": totals.tokens_out,
        "CostUsd": cost_usd,
        "WorkerDuration": round(seconds * 1000, 1),
        "ProviderKeyRejected": 1 if isinstance(failure, ProviderKeyRejected) else None,
    }
    known = {name: fact for name, fact in facts.items() if fact is not None}
    emit_metrics("batch chunk", known, metrics, {"route": "batch worker"})
