"""Records the results of an invocation: prices, writes, settles, counts and reports them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from llm_relay.api.relay import LISTING_TIMEOUT_SECONDS, provider_router
from llm_relay.batch.model.results import ResultTotals, RowResult, error_result, success_result
from llm_relay.billing.cost import with_cost
from llm_relay.billing.money import nanos_from_usd, usd_from_nanos
from llm_relay.core.deadline import Deadline
from llm_relay.core.error_log import log_internal_error
from llm_relay.core.errors import ProviderKeyRejected, RelayError
from llm_relay.observability.metrics import emit_metrics

if TYPE_CHECKING:
    from llm_relay.batch.model.record import Batch
    from llm_relay.batch.worker.budget import BudgetReservations
    from llm_relay.batch.worker.chunk_task import ReservedRows, Row, StopReason
    from llm_relay.batch.worker.heartbeat import LeaseHeartbeat
    from llm_relay.batch.worker.part_writer import PartWriter
    from llm_relay.batch.worker.recovery import ChunkProgress
    from llm_relay.providers.completion import Completion


@dataclass(slots=True, eq=False)
class ResultRecorder:
    """Records the results of an invocation; `previous` is the progress of earlier workers."""

    batch: Batch
    writer: PartWriter
    heartbeat: LeaseHeartbeat
    reservations: BudgetReservations
    previous: ChunkProgress
    totals: ResultTotals = field(default_factory=ResultTotals)  # of written results
    rate_limited: int = 0  # responses with status 429
    max_concurrency: int = 0
    # What a result is charged to once it is written, by row: the reservation, and the model.
    _charged_to: dict[int, tuple[ReservedRows, str]] = field(default_factory=dict)

    @property
    def is_blocked(self) -> bool:
        """Whether results cannot be written at present."""
        return self.writer.is_failing or not self.heartbeat.is_valid()

    @property
    def left(self) -> int:
        """How many rows of the chunk have no result."""
        return len(self.previous.done) - sum(self.heartbeat.counts)

    def record(self, row: Row) -> None:
        """Record the completion or the failure of a row."""
        completion = row.result
        if isinstance(completion, RelayError):
            self.reject(row, completion, row.max_cost_nanos if row.may_be_billed else 0)
        elif completion:
            cost = self._cost_of(completion, row)
            result = success_result(self.batch.id, row.row, row.custom_id, completion, cost)
            self._write(row, result, completion.model or row.model)

    def reject(self, row: Row, failure: RelayError, cost_nanos: int = 0) -> None:
        """Record a row as failed."""
        result = error_result(self.batch.id, row.row, row.custom_id, failure, cost_nanos)
        self._write(row, result, row.model)

    def on_written(self, results: list[RowResult]) -> None:
        """Count stored results and settle reservations whose rows are all stored."""
        for result in results:
            self.totals.add(result)
            reserved, model = self._charged_to.pop(result.row, (None, ""))
            if reserved and reserved.add_result(result, model):
                self._settle(reserved)
        self.heartbeat.counts = (
            self.previous.completed + self.totals.completed,
            self.previous.failed + self.totals.failed,
        )

    def close(self) -> None:
        """Settle reservations of which not all rows were run."""
        for reserved in list(self.reservations.unsettled):
            self._settle(reserved)

    def report(
        self,
        chunk: int,
        left: int,
        stop: StopReason | None,
        failure: RelayError | None,
        seconds: float,
    ) -> None:
        """Write the log and metrics line of the invocation."""
        totals, cost_usd = self.totals, usd_from_nanos(self.totals.cost_nanos)
        rows = totals.completed + totals.failed
        fields = {
            "batch": self.batch.id,
            "client": self.batch.client.key_id,
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
            "MaxConcurrency": self.max_concurrency,
            "RateLimited": self.rate_limited,
            "TokensIn": totals.tokens_in,
            "TokensOut": totals.tokens_out,
            "CostUsd": cost_usd,
            "WorkerDuration": round(seconds * 1000, 1),
            "ProviderKeyRejected": 1 if isinstance(failure, ProviderKeyRejected) else None,
        }
        known = {name: value for name, value in fields.items() if value is not None}
        emit_metrics("batch chunk", known, metrics, {"route": "batch worker"})

    def _settle(self, reserved: ReservedRows) -> None:
        try:
            self.reservations.settle(reserved)
        except Exception as error:  # noqa: BLE001 - the lease keeps it for the next worker
            log_internal_error(error, self.batch.id)

    def _write(self, row: Row, result: RowResult, model: str) -> None:
        if row.reserved:
            self._charged_to[row.row] = (row.reserved, model)
        self.writer.add(result)

    def _cost_of(self, completion: Completion, row: Row) -> int:
        """Return the reported cost, the cost at list price, or else the reserved cost."""
        usage = completion.usage
        if usage.cost_usd is None and usage.tokens_in is not None:
            provider = provider_router().named(completion.provider)
            deadline = Deadline.after(LISTING_TIMEOUT_SECONDS)
            usage = with_cost(usage, provider.answer_entry(completion.model, row.model, deadline))
        return row.max_cost_nanos if usage.cost_usd is None else nanos_from_usd(usage.cost_usd)
