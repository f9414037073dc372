"""Records the results of an invocation: prices, writes and counts them, and settles their cost."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from llm_relay.batch.model.parts import ResultTotals, RowResult
from llm_relay.batch.model.result_lines import error_result, success_result
from llm_relay.batch.worker.provider_call import Outcome, listed_model
from llm_relay.billing.money import nanos_from_usd
from llm_relay.billing.prices import with_cost
from llm_relay.core.error_log import log_internal_error

if TYPE_CHECKING:
    from llm_relay.batch.worker.budget import BudgetReservations
    from llm_relay.batch.worker.heartbeat import LeaseHeartbeat
    from llm_relay.batch.worker.part_writer import PartWriter
    from llm_relay.batch.worker.recovery import ChunkProgress
    from llm_relay.batch.worker.rows import ReservedRows, Row
    from llm_relay.core.errors import RelayError
    from llm_relay.providers.completion import Completion


@dataclass(slots=True, kw_only=True)
class InvocationTotals(ResultTotals):
    """The totals of an invocation's written results, and how its rows have run."""

    rate_limited: int = 0  # responses with status 429
    max_concurrency: int = 0


@dataclass(slots=True, eq=False)
class ResultRecorder:
    """Records the results of an invocation; `previous` is the progress of earlier workers."""

    batch_id: str
    writer: PartWriter
    heartbeat: LeaseHeartbeat
    reservations: BudgetReservations
    previous: ChunkProgress
    totals: InvocationTotals = field(default_factory=InvocationTotals)
    # What a result is charged to once it is written, by row: the reservation, and the model.
    _charged_to: dict[int, tuple[ReservedRows, str]] = field(default_factory=dict)

    @property
    def is_blocked(self) -> bool:
        """Whether results cannot be written at present."""
        return self.writer.is_failing or not self.heartbeat.is_valid()

    @property
    def left(self) -> int:
        """How many rows of the chunk have no result."""
        return self.previous.left - self.totals.completed - self.totals.failed

    def record(self, outcome: Outcome) -> None:
        """Record the completion or the failure of a row."""
        row, completion = outcome.row, outcome.completion
        if completion:
            cost = self._cost_of(completion, row)
            result = success_result(self.batch_id, row.row, row.custom_id, completion, cost)
            self._write(row, result, completion.model or row.model)
        elif outcome.failure:
            self.reject(row, outcome.failure, row.max_cost_nanos if outcome.may_be_billed else 0)

    def reject(self, row: Row, failure: RelayError, cost_nanos: int = 0) -> None:
        """Record a row as failed."""
        result = error_result(self.batch_id, row.row, row.custom_id, failure, cost_nanos)
        self._write(row, result, row.model)

    def record_invalid(self, result: RowResult) -> None:
        """Record a line that is no valid row."""
        self.writer.add(result)

    def on_written(self, results: list[RowResult]) -> None:
        """Count stored results and settle reservations whose rows are all stored."""
        for result in results:
            self.totals.add(result)
            reserved, model = self._charged_to.pop(result.row, (None, ""))
            if reserved and reserved.add_result(result, model):
                self._settle(reserved)
        self.heartbeat.set_counts(
            self.previous.completed + self.totals.completed,
            self.previous.failed + self.totals.failed,
        )

    def close(self) -> None:
        """Settle reservations of which not all rows were run."""
        for reserved in list(self.reservations.unsettled):
            self._settle(reserved)

    def _settle(self, reserved: ReservedRows) -> None:
        try:
            self.reservations.settle(reserved)
        except Exception as error:  # noqa: BLE001 - the lease keeps it for the next worker
            log_internal_error(error, self.batch_id)

    def _write(self, row: Row, result: RowResult, model: str) -> None:
        if row.reserved:
            self._charged_to[row.row] = (row.reserved, model)
        self.writer.add(result)

    def _cost_of(self, completion: Completion, row: Row) -> int:
        """Return the reported cost, the cost at list price, or else the reserved cost."""
        usage = completion.usage
        if usage.cost_usd is None and usage.tokens_in is not None:
            usage = with_cost(usage, listed_model(completion, row.model))
        return row.max_cost_nanos if usage.cost_usd is None else nanos_from_usd(usage.cost_usd)
