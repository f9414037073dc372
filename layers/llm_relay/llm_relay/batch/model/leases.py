"""Chunk leases in DynamoDB, so that no row is run by two workers at once.

The stored attributes generation, deaths and holds keep their names: upgrades happen during batches.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from llm_relay.aws.dynamodb import Item, Table
from llm_relay.batch.model.codec import build_update, decode_item, set_expression
from llm_relay.batch.model.store import RECORD_TTL_SECONDS
from llm_relay.billing.ledger_account import Reservation

LEASE_SECONDS = 15
# Upper bound on the clock difference between two machines.
_SKEW_SECONDS = 1.0

# The SDK may repeat an update whose reply was lost; then the holder is this worker.
_IS_FREE = "attribute_not_exists(#until) OR #until <= :now OR #holder = :holder"
# The fields of a RowsReservation and of its Reservation that are stored.
_ROWS_FIELDS = ("attempt", "first_row", "last_row", "model")
_RESERVATION_FIELDS = ("client", "period", "day", "nanos", "expires_at")


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsReservation:
    """A budget reservation for consecutive rows of a chunk, as a later worker can settle it."""

    reservation: Reservation
    attempt: int  # the worker attempt whose parts hold the results of the rows
    first_row: int
    last_row: int
    model: str  # of the first row; for results that name no model


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The lease of a chunk; the counts are those already added to the batch."""

    batch: str
    chunk: int
    holder: str
    attempt: int  # how many workers have had this chunk, this one included
    valid_until: float  # on the monotonic clock
    completed: int = 0
    failed: int = 0
    # Unsettled reservations of earlier attempts, by name.
    reservations: Mapping[str, RowsReservation] = field(default_factory=dict)
    crash_count: int = 0  # consecutive earlier workers that did not release the lease


class Leases:
    """The leases of all batches."""

    def __init__(self, table: str) -> None:
        self._table = Table(table)

    def acquire(self, batch_id: str, chunk: int) -> Lease | int:
        """Return the lease, or the seconds until another worker's lease expires."""
        now, valid_until = int(time.time()), _valid_until()
        holder = secrets.token_hex(8)
        values = {"until": now + LEASE_SECONDS, "holder": holder, "ttl": now + RECORD_TTL_SECONDS}
        change = set_expression(values) + (
            ", #generation = if_not_exists(#generation, :zero) + :one"
            # Counted before the crash; reset when the worker releases the lease.
            ", #deaths = if_not_exists(#deaths, :zero) + :one"
            ", #holds = if_not_exists(#holds, :none)"
            ", #completed = if_not_exists(#completed, :zero)"
            ", #failed = if_not_exists(#failed, :zero)"
        )
        values |= {"now": now, "zero": 0, "one": 1, "none": {}}
        update = build_update(_key(batch_id, chunk), change, values, _IS_FREE)
        done, item = self._table.update(update)
        stored = decode_item(item or {})
        if not done:
            return max(1, int(stored["until"]) - now)
        return Lease(
            batch=batch_id,
            chunk=chunk,
            holder=holder,
            attempt=stored["generation"],
            valid_until=valid_until,
            completed=stored["completed"],
            failed=stored["failed"],
            reservations={name: _decode(name, rows) for name, rows in stored["holds"].items()},
            crash_count=stored["deaths"] - 1,
        )

    def renew(self, lease: Lease, completed: int, failed: int) -> float | None:
        """Extend the lease and store the counts; return its new expiry, or None if it is lost.

        An expired lease can be renewed unless another worker has acquired the chunk since.
        """
        valid_until, until = _valid_until(), int(time.time()) + LEASE_SECONDS
        values = {"until": until, "completed": completed, "failed": failed}
        return valid_until if self._update(lease, set_expression(values), values) else None

    def release(self, lease: Lease) -> None:
        """Free the chunk for other workers and reset its crash count."""
        values = {"until": 0, "deaths": 0}
        self._update(lease, set_expression(values), values)

    def add_reservation(self, lease: Lease, rows: RowsReservation) -> bool:
        """Record a reservation in the lease; return False if the lease is lost."""
        values = {f"holds.{rows.reservation.name}": _encode(rows)}
        return self._update(lease, set_expression(values), values)

    def remove_reservation(self, lease: Lease, name: str) -> None:
        """Remove a settled reservation from the lease."""
        self._update(lease, f"REMOVE #holds.#{name}", {})

    def _update(self, lease: Lease, change: str, values: Mapping[str, Any]) -> bool:
        key, values = _key(lease.batch, lease.chunk), {**values, "holder": lease.holder}
        return self._table.update(build_update(key, change, values, "#holder = :holder"))[0]


def leased_until(table: str, batch_id: str, now: float) -> int:
    """Return when the last lease of a batch expires, in Unix seconds; 0 if none is active."""
    items = Table(table).iterate_from(_pk(batch_id), "0")
    return max((until for item in items if (until := int(item["until"]["N"])) > now), default=0)


def chunks_with_reservations(table: str, batch_id: str) -> set[int]:
    """Return the chunks of a batch that have unsettled reservations."""
    items = Table(table).iterate_from(_pk(batch_id), "0")
    return {int(item["sk"]["S"]) for item in items if item["holds"]["M"]}


def _encode(rows: RowsReservation) -> dict[str, Any]:
    values = {name: getattr(rows.reservation, name) for name in _RESERVATION_FIELDS}
    values |= {name: getattr(rows, name) for name in _ROWS_FIELDS}
    values["until"], values["generation"] = values.pop("expires_at"), values.pop("attempt")
    return values


def _decode(name: str, stored: Mapping[str, Any]) -> RowsReservation:
    values = {**stored, "expires_at": stored["until"], "attempt": stored["generation"]}
    reservation = Reservation(name=name, **{each: values[each] for each in _RESERVATION_FIELDS})
    return RowsReservation(reservation=reservation, **{each: values[each] for each in _ROWS_FIELDS})


def _valid_until() -> float:
    # The table stores whole seconds.
    return time.monotonic() + LEASE_SECONDS - 1 - _SKEW_SECONDS


def _pk(batch_id: str) -> str:
    return f"chunks#{batch_id}"


def _key(batch_id: str, chunk: int) -> Item:
    return {"pk": {"S": _pk(batch_id)}, "sk": {"S": f"{chunk:06d}"}}
