"""Who works on a chunk: leases in the table of batches, so that no row is run by two workers."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llm_relay.aws.dynamodb import Table, dynamodb
from llm_relay.batch.model.store import KEPT_SECONDS
from llm_relay.billing.ledger_account import Reservation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LEASE_SECONDS = 15
# Clocks of two machines may differ by so much.
_SKEW_SECONDS = 1.0

Item = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsReservation:
    """Money set aside for some rows of a chunk, with what a successor needs to settle it."""

    hold: Reservation
    generation: int  # whose parts tell what the rows have cost
    first_row: int
    last_row: int
    model: str  # what is counted under it names no other


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A chunk that is ours; the counts are those that the batch was told of so far."""

    batch: str
    chunk: int
    holder: str
    generation: int
    lives_until: float  # on the monotonic clock
    completed: int = 0
    failed: int = 0
    holds: Mapping[str, RowsReservation] = field(default_factory=dict)  # left by generations before
    deaths: int = 0  # of workers before this one, in a row


class Leases:
    """The leases of all batches; `client` makes the client of DynamoDB."""

    def __init__(self, table: str, client: Callable[[], Any] = dynamodb) -> None:
        self._table = Table(table, client)

    def take(self, batch_id: str, chunk: int) -> Lease | int:
        """Return the lease, or for how many seconds it is still somebody else's."""
        now, lives_until = int(time.time()), _lives_until()
        holder = secrets.token_hex(8)
        done, item = self._table.update(_taking(_key(batch_id, chunk), holder, now))
        item = item or {}
        if not done:
            return max(1, int(item["until"]["N"]) - now)
        return Lease(
            batch=batch_id,
            chunk=chunk,
            holder=holder,
            generation=int(item["generation"]["N"]),
            lives_until=lives_until,
            completed=int(item["completed"]["N"]),
            failed=int(item["failed"]["N"]),
            holds={name: _hold_in(name, value["M"]) for name, value in item["holds"]["M"].items()},
            deaths=int(item["deaths"]["N"]) - 1,
        )

    def renew(self, lease: Lease, completed: int, failed: int) -> float | None:
        """Keep the lease and the counts; return until when it lives, None if it is lost.

        One that has lapsed lives again, unless somebody else has had the chunk since.
        """
        now, lives_until = int(time.time()), _lives_until()
        told = {":until": now + LEASE_SECONDS, ":done": completed, ":failed": failed}
        done = self._update(
            lease,
            "SET #until = :until, completed = :done, failed = :failed",
            {name: _number(value) for name, value in told.items()},
            names={"#until": "until"},
        )
        return lives_until if done else None

    def give_back(self, lease: Lease) -> None:
        """Let others have the chunk at once, and know that this worker has not died."""
        change, names = "SET #until = :zero, deaths = :zero", {"#until": "until"}
        self._update(lease, change, {":zero": _number(0)}, names=names)

    def keep_hold(self, lease: Lease, kept: RowsReservation) -> bool:
        """Note money that was set aside; return whether the lease is still ours."""
        hold = {":hold": {"M": _hold_item(kept)}}
        return self._update(lease, "SET holds.#name = :hold", hold, names={"#name": kept.hold.name})

    def drop_hold(self, lease: Lease, name: str) -> None:
        """Forget money that was settled."""
        self._update(lease, "REMOVE holds.#name", {}, names={"#name": name})

    def _update(self, lease: Lease, change: str, values: Item, *, names: dict[str, str]) -> bool:
        update = {
            "Key": _key(lease.batch, lease.chunk),
            "UpdateExpression": change,
            "ConditionExpression": "holder = :holder",
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": values | {":holder": {"S": lease.holder}},
        }
        return self._table.update(update)[0]


def live_until(table: str, batch_id: str, now: float) -> int:
    """Return when the last lease of a batch ends, in seconds since the epoch; 0 if none lives."""
    items = Table(table).sorted_from(_pk(batch_id), "0")
    return max((until for item in items if (until := int(item["until"]["N"])) > now), default=0)


def chunks_with_reservations(table: str, batch_id: str) -> set[int]:
    """Return the chunks of a batch in which workers have left money set aside."""
    items = Table(table).sorted_from(_pk(batch_id), "0")
    return {int(item["sk"]["S"]) for item in items if item["holds"]["M"]}


def _taking(key: Item, holder: str, now: int) -> Item:
    kept = ("completed", "failed")
    return {
        "Key": key,
        "UpdateExpression": (
            "SET #until = :until, holder = :holder, #ttl = :ttl, "
            "generation = if_not_exists(generation, :zero) + :one, "
            # A worker that lives to give the lease back takes its own death from this.
            "deaths = if_not_exists(deaths, :zero) + :one, "
            "holds = if_not_exists(holds, :none), "
            + ", ".join(f"{name} = if_not_exists({name}, :zero)" for name in kept)
        ),
        # Ours already if the reply to the first of two tries was lost.
        "ConditionExpression": "attribute_not_exists(#until) OR #until <= :now OR holder = :holder",
        "ExpressionAttributeNames": {"#until": "until", "#ttl": "ttl"},
        "ExpressionAttributeValues": {
            ":until": _number(now + LEASE_SECONDS),
            ":now": _number(now),
            ":ttl": _number(now + KEPT_SECONDS),
            ":zero": _number(0),
            ":one": _number(1),
            ":holder": {"S": holder},
            ":none": {"M": {}},
        },
    }


def _hold_item(kept: RowsReservation) -> Item:
    hold = kept.hold
    texts = {"client": hold.client, "period": hold.period, "day": hold.day, "model": kept.model}
    counts = {
        "nanos": hold.nanos,
        "until": hold.until,
        "generation": kept.generation,
        "first_row": kept.first_row,
        "last_row": kept.last_row,
    }
    return {name: {"S": text} for name, text in texts.items()} | {
        name: _number(count) for name, count in counts.items()
    }


def _hold_in(name: str, item: Item) -> RowsReservation:
    client, period, day = (item[each]["S"] for each in ("client", "period", "day"))
    nanos, until = (int(item[each]["N"]) for each in ("nanos", "until"))
    hold = Reservation(client=client, period=period, day=day, nanos=nanos, until=until, name=name)
    places = {each: int(item[each]["N"]) for each in ("generation", "first_row", "last_row")}
    return RowsReservation(hold=hold, model=item["model"]["S"], **places)


def _lives_until() -> float:
    # Seconds are cut to whole ones in the table.
    return time.monotonic() + LEASE_SECONDS - 1 - _SKEW_SECONDS


def _number(value: int) -> dict[str, str]:
    return {"N": str(value)}


def _pk(batch_id: str) -> str:
    return f"chunks#{batch_id}"


def _key(batch_id: str, chunk: int) -> Item:
    return {"pk": {"S": _pk(batch_id)}, "sk": {"S": f"{chunk:06d}"}}
