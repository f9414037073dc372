"""The rows of a chunk in progress, and the reservations that they share."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llm_relay.batch.model.leases import RowsReservation
    from llm_relay.batch.model.parts import RowResult
    from llm_relay.providers.provider import Provider


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

    def spacing_seconds(self) -> float:
        """Return the seconds to leave after it, by the provider with the most capacity left."""
        return min(each.client.rate_limits.spacing_seconds(self.model) for each in self.bodies)
