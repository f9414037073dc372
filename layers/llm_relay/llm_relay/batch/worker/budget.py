"""The client's money: set aside for some rows at once, and settled once when they are done."""

from __future__ import annotations

import hashlib
import os
import time
from collections import Counter, defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from llm_relay.aws.dynamodb import Table
from llm_relay.batch.model.leases import RowsReservation
from llm_relay.billing.budget_periods import period_at
from llm_relay.billing.ledger import ledger
from llm_relay.billing.ledger_account import RESERVATION_PREFIX, account_in, account_key
from llm_relay.billing.ledger_updates import settle_update, usage_update
from llm_relay.core.error_log import log_internal_error
from llm_relay.core.errors import BudgetExceeded, LedgerUnavailable
from llm_relay.core.usage import Usage

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Iterator

    from llm_relay.batch.model.leases import Lease, Leases
    from llm_relay.batch.model.parts import RowResult
    from llm_relay.batch.worker.rows import Row
    from llm_relay.billing.ledger_account import Reservation
    from llm_relay.billing.ledger_updates import Update
    from llm_relay.core.client import Client

ROWS_PER_RESERVATION = 256

Counts = Counter[str]


@dataclass(slots=True, kw_only=True, eq=False)
class ReservedRows:
    """Rows that share a hold, and what those of them that are written have used, by model."""

    kept: RowsReservation | None
    rows: int
    used: dict[str, Counts] = field(default_factory=lambda: defaultdict(Counter))

    def note(self, result: RowResult, model: str) -> bool:
        """Count a row that is written; return whether it was the last."""
        self.rows -= 1
        if result.is_answer or result.cost_nanos:
            self.used[model].update(
                requests=1,
                cost_nanos=result.cost_nanos,
                tokens_in=result.tokens_in,
                tokens_out=result.tokens_out,
            )
        return not self.rows


class LeaseLost(Exception):  # noqa: N818 - what it is
    """The chunk is somebody else's now."""


class BudgetReservations:
    """What one worker has set aside of its client's budget, if there is one."""

    def __init__(self, client: Client, leases: Leases, lease: Lease, seconds: float) -> None:
        self._client = client
        self._leases = leases
        self._lease = lease
        self._ends_at = time.time() + seconds  # when no call of this worker can be under way
        self._size = ROWS_PER_RESERVATION
        self._slices = 0
        self.open: set[ReservedRows] = set()  # with money that is not settled
        self.settled = 0

    @cached_property
    def _accounts(self) -> Table:
        return Table(os.environ["CLIENTS_TABLE"])

    @property
    def is_spending(self) -> bool:
        """Tell whether there are rows under way whose money may come back."""
        return any(each.rows for each in self.open)

    def take(self, pending: deque[Row]) -> list[Row]:
        """Return the next rows, paid for; BudgetExceeded if there is too little for even one.

        LedgerUnavailable or LeaseLost if nobody can tell, or somebody else has the chunk.
        """
        if self._client.budget_nanos is None:
            return _taken(pending, len(pending), ReservedRows(kept=None, rows=len(pending)))
        size = min(self._size, len(pending))
        while True:
            try:
                kept = self._kept([pending[index] for index in range(size)])
            except BudgetExceeded:
                if size == 1:
                    self._size = 1  # where the next look begins
                    raise
                size //= 2
            else:
                break
        self._size = min(ROWS_PER_RESERVATION, 2 * size)
        taken = ReservedRows(kept=kept, rows=size)
        if kept:
            self.open.add(taken)
        return _taken(pending, size, taken)

    def settle(self, done: ReservedRows) -> None:
        """Charge what a slice's rows have cost, and give back the rest."""
        if done in self.open and done.kept:
            self._settle(done.kept, done.used)
            self.open.discard(done)
            self.settled += 1

    def settle_left(self, results: dict[int, list[RowResult]]) -> None:
        """Settle what attempts before this one have left, from what they have written."""
        from llm_relay.batch.model.result_lines import response_model  # noqa: PLC0415 - after a kill alone

        for kept in self._lease.reservations.values():
            left = ReservedRows(kept=kept, rows=0)
            for each in results.get(kept.attempt, ()):
                if kept.first_row <= each.row <= kept.last_row:
                    left.note(each, response_model(each.line) or kept.model)
            self._settle(kept, left.used)

    def others_hold(self) -> bool:
        """Tell whether calls elsewhere have money set aside that may come back."""
        now = time.time()
        period = period_at(self._client.budget_per, now).name
        with _reachable():
            item = self._accounts.get(account_key(self._client.id, period))
        return bool(item) and account_in(item or {}).reserved(now) > 0

    def _kept(self, rows: list[Row]) -> RowsReservation | None:
        now, nanos = time.time(), sum(row.worst_nanos for row in rows)
        name = self._name()
        hold = ledger().reserve(self._client, nanos, now, max(0.0, self._ends_at - now), name)
        self._slices += 1
        if hold is None:  # the ledger is away, and the settings let calls pass
            return None
        kept = RowsReservation(
            reservation=hold,
            attempt=self._lease.attempt,
            first_row=rows[0].row,
            last_row=rows[-1].row,
            model=str(rows[0].body.get("model")),
        )
        self._note(kept)
        return kept

    def _note(self, kept: RowsReservation) -> None:
        """Tell the chunk of a hold, so that a successor knows of it; or give it back."""
        is_noted = False
        try:
            with _reachable():
                is_noted = self._leases.add_reservation(self._lease, kept)
        finally:
            if not is_noted:
                ledger().release(kept.reservation)
        if not is_noted:
            raise LeaseLost

    def _name(self) -> str:
        lease = self._lease
        place = f"{lease.batch}/{lease.chunk}/{lease.attempt}/{self._slices}"
        return RESERVATION_PREFIX + hashlib.sha256(place.encode()).hexdigest()[:16]

    def _settle(self, kept: RowsReservation, used: dict[str, Counts]) -> None:
        hold, cost = kept.reservation, sum(counts["cost_nanos"] for counts in used.values())
        counted = [_counting(hold, model, counts) for model, counts in used.items()]
        # A hold that was taken back in the meantime stands as a zero.
        if not self._accounts.update_all([settle_update(hold, hold.nanos, cost), *counted]):
            self._accounts.update_all([settle_update(hold, 0, cost), *counted])
        self._leases.remove_reservation(self._lease, hold.name)


@contextmanager
def _reachable() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001 - whatever the reason, it may pass
        log_internal_error(error, "purse")
        raise LedgerUnavailable(
            "The client's budget could not be told, so nothing was asked."
        ) from None


def _taken(pending: deque[Row], size: int, taken: ReservedRows) -> list[Row]:
    rows = [pending.popleft() for _ in range(size)]
    for row in rows:
        row.slice = taken
    return rows


def _counting(hold: Reservation, model: str, counts: Counts) -> Update:
    """Count what the rows that one model has answered used."""
    usage = Usage(tokens_in=counts["tokens_in"], tokens_out=counts["tokens_out"])
    cost, requests = counts["cost_nanos"], counts["requests"]
    return usage_update(hold, cost, usage, model, time.time(), requests=requests)
