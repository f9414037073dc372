"""The results of one invocation: priced, written, counted, and their money settled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_relay.batch.model.result_lines import error_result, success_result
from llm_relay.billing.money import nanos_of
from llm_relay.billing.prices import with_cost
from llm_relay.core.error_log import log_internal_error

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from llm_relay.batch.model.parts import RowResult
    from llm_relay.batch.worker.budget import BudgetReservations, ReservedRows
    from llm_relay.batch.worker.heartbeat import LeaseHeartbeat
    from llm_relay.batch.worker.part_writer import PartWriter
    from llm_relay.batch.worker.provider_call import Outcome
    from llm_relay.batch.worker.rows import Row
    from llm_relay.core.errors import RelayError
    from llm_relay.providers.completion import Completion

    Written = list[tuple[RowResult, "ResultRef"]]
    # What is listed of the model that has answered, or else of the one that was asked for.
    Listed = Callable[[Completion, str], Mapping[str, Any] | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultRef:
    """What is to be done once a result is written."""

    slice: ReservedRows | None = None
    model: str = ""


@dataclass(slots=True, kw_only=True)
class Totals:
    """What is written of a chunk."""

    completed: int = 0
    failed: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost_nanos: int = 0

    def add(self, result: RowResult) -> None:
        """Count a result."""
        self.completed += result.is_answer
        self.failed += not result.is_answer
        self.tokens_in += result.tokens_in
        self.tokens_out += result.tokens_out
        self.cost_nanos += result.cost_nanos


class ResultRecorder:
    """Everything that becomes of results."""

    def __init__(
        self,
        batch_id: str,
        writer: PartWriter[ResultRef],
        clerk: LeaseHeartbeat,
        purse: BudgetReservations,
        listed: Listed,
    ) -> None:
        self._batch_id = batch_id
        self._writer = writer
        self._clerk = clerk
        self._purse = purse
        self._listed = listed
        self.totals = Totals()  # of this invocation

    @property
    def is_behind(self) -> bool:
        """Tell whether results cannot be written at the moment."""
        return self._writer.is_failing or not self._clerk.lives()

    def enter(self, outcome: Outcome) -> None:
        """Take what came of a row."""
        row, model = outcome.row, str(outcome.row.body.get("model"))
        if outcome.failure:
            cost = row.worst_nanos if outcome.may_be_paid else 0
            self._write(
                row, error_result(self._batch_id, row.row, row.custom_id, outcome.failure, cost)
            )
        elif outcome.whole:
            cost = self._cost(outcome.whole, row, model)
            result = success_result(self._batch_id, row.row, row.custom_id, outcome.whole, cost)
            self._write(row, result, outcome.whole.model or model)

    def refuse(self, row: Row, failure: RelayError) -> None:
        """Take a row that is not asked for any more."""
        self._write(row, error_result(self._batch_id, row.row, row.custom_id, failure))

    def refuse_unread(self, result: RowResult) -> None:
        """Take a row that never was one."""
        self._writer.add(result, ResultRef())

    def written(self, results: Written) -> None:
        """Count what is safe now, and settle the money of slices that are done."""
        for result, tag in results:
            self.totals.add(result)
            if tag.slice and tag.slice.note(result, tag.model):
                self._settle(tag.slice)
        self._clerk.tally(self.totals.completed, self.totals.failed)

    def close(self) -> None:
        """Settle slices of which some rows were not run."""
        for each in list(self._purse.open):
            self._settle(each)

    def _settle(self, done: ReservedRows) -> None:
        try:
            self._purse.settle(done)
        except Exception as error:  # noqa: BLE001 - the chunk remembers it for who comes next
            log_internal_error(error, self._batch_id)

    def _write(self, row: Row, result: RowResult, model: str = "") -> None:
        self._writer.add(
            result, ResultRef(slice=row.slice, model=model or str(row.body.get("model")))
        )

    def _cost(self, whole: Completion, row: Row, model: str) -> int:
        """Return the price told or listed; what was set aside for a row whose price is unknown."""
        usage = whole.usage
        if usage.cost_usd is None and usage.tokens_in is not None:
            usage = with_cost(usage, self._listed(whole, model))
        return row.worst_nanos if usage.cost_usd is None else nanos_of(usage.cost_usd)
