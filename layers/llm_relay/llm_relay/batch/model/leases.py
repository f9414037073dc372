"""Chunk leases in DynamoDB, so that no row is run by two workers at once.

The stored attributes generation, deaths and holds keep their names: upgrades happen during batches.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from llm_relay.aws.dynamodb import Item, Table, Update, dynamodb
from llm_relay.batch.model.codec import build_update, decode_item
from llm_relay.batch.model.store import RECORD_TTL_SECONDS
from llm_relay.billing.ledger_account import Reservation

LEASE_SECONDS = 15
# Upper bound on the clock difference between two machines.
_SKEW_SECONDS = 1.0


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
    """The leases of all batches; `client` creates the DynamoDB client."""

    def __init__(self, table: str, client: Callable[[], Any] = dynamodb) -> None:
        self._table = Table(table, client)

    def acquire(self, batch_id: str, chunk: int) -> Lease | int:
        """Return the lease, or the seconds until another worker's lease expires."""
        now, valid_until = int(time.time()), _valid_until()
        holder = secrets.token_hex(8)
        done, item = self._table.update(_acquire_update(_key(batch_id, chunk), holder, now))
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
        values = {":until": until, ":completed": completed, ":failed": failed}
        change = "SET #until = :until, #completed = :completed, #failed = :failed"
        return valid_until if self._update(lease, change, values) else None

    def release(self, lease: Lease) -> None:
        """Free the chunk for other workers and reset its crash count."""
        self._update(lease, "SET #until = :zero, #deaths = :zero", {":zero": 0})

    def add_reservation(self, lease: Lease, rows: RowsReservation) -> bool:
        """Record a reservation in the lease; return False if the lease is lost."""
        change = f"SET #holds.#{rows.reservation.name} = :rows"
        return self._update(lease, change, {":rows": _encode(rows)})

    def remove_reservation(self, lease: Lease, name: str) -> None:
        """Remove a settled reservation from the lease."""
        self._update(lease, f"REMOVE #holds.#{name}", {})

    def _update(self, lease: Lease, change: str, values: dict[str, Any]) -> bool:
        key, values = _key(lease.batch, lease.chunk), values | {":holder": lease.holder}
        return self._table.update(build_update(key, change, "#holder = :holder", values))[0]


def leased_until(table: str, batch_id: str, now: float) -> int:
    """Return when the last lease of a batch expires, in Unix seconds; 0 if none is active."""
    items = Table(table).iterate_from(_pk(batch_id), "0")
    return max((until for item in items if (until := int(item["until"]["N"])) > now), default=0)


def chunks_with_reservations(table: str, batch_id: str) -> set[int]:
    """Return the chunks of a batch that have unsettled reservations."""
    items = Table(table).iterate_from(_pk(batch_id), "0")
    return {int(item["sk"]["S"]) for item in items if item["holds"]["M"]}


def _acquire_update(key: Item, holder: str, now: int) -> Update:
    return build_update(
        key,
        "SET #until = :until, #holder = :holder, #ttl = :ttl, "
        "#generation = if_not_exists(#generation, :zero) + :one, "
        # Counted before the crash; reset when the worker releases the lease.
        "#deaths = if_not_exists(#deaths, :zero) + :one, "
        "#holds = if_not_exists(#holds, :none), "
        "#completed = if_not_exists(#completed, :zero), "
        "#failed = if_not_exists(#failed, :zero)",
        # The SDK may repeat an update whose reply was lost; then the holder is this worker.
        "attribute_not_exists(#until) OR #until <= :now OR #holder = :holder",
        {
            ":until": now + LEASE_SECONDS,
            ":now": now,
            ":ttl": now + RECORD_TTL_SECONDS,
            ":zero": 0,
            ":one": 1,
            ":holder": holder,
            ":none": {},
        },
    )


def _encode(rows: RowsReservation) -> dict[str, Any]:
    reservation = rows.reservation
    return {
        "client": reservation.client,
        "period": reservation.period,
        "day": reservation.day,
        "nanos": reservation.nanos,
        "until": reservation.expires_at,
        "generation": rows.attempt,
        "first_row": rows.first_row,
        "last_row": rows.last_row,
        "model": rows.model,
    }


def _decode(name: str, stored: Mapping[str, Any]) -> RowsReservation:
    return RowsReservation(
        reservation=Reservation(
            name=name,
            expires_at=stored["until"],
            client=stored["client"],
            period=stored["period"],
            day=stored["day"],
            nanos=stored["nanos"],
        ),
        attempt=stored["generation"],
        first_row=stored["first_row"],
        last_row=stored["last_row"],
        model=stored["model"],
    )


def _valid_until() -> float:
    # The table stores whole seconds.
    return time.monotonic() + LEASE_SECONDS - 1 - _SKEW_SECONDS


def _pk(batch_id: str) -> str:
    return f"chunks#{batch_id}"


def _key(batch_id: str, chunk: int) -> Item:
    return {"pk": {"S": _pk(batch_id)}, "sk": {"S": f"{chunk:06d}"}}
