"""Reserves a client's budget for some rows at a time and settles each reservation once."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING

from llm_relay.aws.dynamodb import Table
from llm_relay.batch.model.leases import Lease, Leases, RowsReservation
from llm_relay.batch.model.results import RowResult, response_model
from llm_relay.batch.worker.chunk_task import ReservedRows, Row
from llm_relay.billing.ledger import ledger, settle_reservation
from llm_relay.billing.ledger_account import account_key, parse_account, period_at
from llm_relay.billing.ledger_updates import usage_update
from llm_relay.core.error_log import log_internal_error
from llm_relay.core.errors import BudgetExceeded, LedgerUnavailable
from llm_relay.core.usage import Usage

if TYPE_CHECKING:
    from collections import deque

    from llm_relay.core.client import Client

ROWS_PER_RESERVATION = 256


class LeaseLost(Exception):  # noqa: N818 - an event rather than an error
    """Another worker has the chunk."""


class BudgetReservations:
    """The reservations of one worker, which ends within `seconds`."""

    def __init__(self, client: Client, leases: Leases, lease: Lease, seconds: float) -> None:
        self._client = client
        self._leases = leases
        self._lease = lease
        self._ends_at = time.time() + seconds
        self._size = ROWS_PER_RESERVATION
        self.unsettled: set[ReservedRows] = set()
        self.settled_count = 0

    @property
    def has_unwritten_rows(self) -> bool:
        """Whether the settlement of rows in progress may release some of the budget."""
        return any(each.unwritten for each in self.unsettled)

    def reserve(self, pending: deque[Row]) -> list[Row]:
        """Take the next pending rows and reserve their cost.

        Raises BudgetExceeded if not even one row fits, LedgerUnavailable or LeaseLost.
        """
        if self._client.budget_nanos is None:
            return [pending.popleft() for _ in range(len(pending))]
        size = min(self._size, len(pending))
        while True:
            try:
                reservation = self._reserve(list(islice(pending, size)))
                break
            except BudgetExceeded:
                if size == 1:
                    self._size = 1
                    raise
                size //= 2
        self._size = min(ROWS_PER_RESERVATION, 2 * size)
        rows = [pending.popleft() for _ in range(size)]
        if reservation:
            reserved = ReservedRows(reservation=reservation, unwritten=size)
            self.unsettled.add(reserved)
            for row in rows:
                row.reserved = reserved
        return rows

    def settle(self, rows: ReservedRows) -> None:
        """Charge what the rows have cost and release the rest; does nothing a second time."""
        if rows in self.unsettled:
            _settle(self._leases, self._lease, rows)
            self.unsettled.discard(rows)
            self.settled_count += 1

    def others_have_reservations(self) -> bool:
        """Return whether other calls of the client may still release some of the budget."""
        now, accounts = time.time(), Table(os.environ["CLIENTS_TABLE"])
        period = period_at(self._client.budget_per, now).name
        with _ledger_errors():
            item = accounts.get(account_key(self._client.id, period))
        return bool(item) and parse_account(item or {}).reserved(now) > 0

    def _reserve(self, rows: list[Row]) -> RowsReservation | None:
        now, nanos = time.time(), sum(row.max_cost_nanos for row in rows)
        seconds = max(0.0, self._ends_at - now)
        reservation = ledger().reserve(self._client, nanos, now, seconds)
        if reservation is None:  # DynamoDB is unavailable, and the settings allow calls then
            return None
        reserved = RowsReservation(
            reservation=reservation,
            attempt=self._lease.attempt,
            first_row=rows[0].row,
            last_row=rows[-1].row,
            model=rows[0].model,
        )
        try:
            with _ledger_errors():
                is_recorded = self._leases.add_reservation(self._lease, reserved)
            if not is_recorded:
                raise LeaseLost
        except BaseException:
            ledger().release(reservation)
            raise
        return reserved


def settle_abandoned(leases: Leases, lease: Lease, results: dict[int, list[RowResult]]) -> None:
    """Settle the reservations of crashed workers, by the results of each attempt."""
    for abandoned in lease.reservations.values():
        rows = ReservedRows(reservation=abandoned)
        for each in results.get(abandoned.attempt, ()):
            if abandoned.first_row <= each.row <= abandoned.last_row:
                rows.add_result(each, response_model(each.line) or abandoned.model)
        _settle(leases, lease, rows)


def _settle(leases: Leases, lease: Lease, rows: ReservedRows) -> None:
    reservation, now = rows.reservation.reservation, time.time()
    cost, updates = 0, []
    for model, counts in rows.usage.items():
        cost += counts["cost_nanos"]
        tokens = Usage(tokens_in=counts["tokens_in"], tokens_out=counts["tokens_out"])
        values = (counts["cost_nanos"], tokens, model, now)
        updates.append(usage_update(reservation, *values, requests=counts["requests"]))
    settle_reservation(Table(os.environ["CLIENTS_TABLE"]), reservation, cost, *updates)
    leases.remove_reservation(lease, reservation.name)


@contextmanager
def _ledger_errors() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001 - any failure of DynamoDB may be temporary
        log_internal_error(error, "budget")
        raise LedgerUnavailable(
            "The client's budget could not be read, so nothing was sent."
        ) from None
