"""A client's account for one day or month, as DynamoDB keeps it in one item.

`available` + `spent` + every hold's `n` = `budget`, whatever happens in whatever order.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

RESERVATION_PREFIX = "h_"
# A function is dead this long after its own deadline, and its hold may be taken back.
GRACE_SECONDS = 60
# A hold that was taken back stays as a zero for so long, for a settlement that comes all the same.
TOMBSTONE_SECONDS = 3600

Item = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """Money set aside for one call; amounts in nanodollars."""

    client: str
    period: str  # the account's, also if the call outlasts it
    day: str
    nanos: int
    expires_at: int  # seconds since the epoch
    name: str  # of its attribute in the account


@dataclass(frozen=True, slots=True, kw_only=True)
class ReservedAmount:
    """What an account says of a hold: 0 nanodollars once it was taken back."""

    nanos: int
    expires_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerAccount:
    """An account as it was read, in nanodollars."""

    available: int
    spent: int
    budget: int  # the one that `available` was reckoned with
    reservations: Mapping[str, ReservedAmount]

    def available_under(self, budget: int) -> int:
        """Return what would be available if this were the budget."""
        return self.available + budget - self.budget

    def reserved(self, now: float) -> int:
        """Return what calls under way have set aside."""
        return sum(held.nanos for held in self.reservations.values() if held.expires_at >= now)

    def expired(self, now: float) -> dict[str, ReservedAmount]:
        """Return the holds of calls that have died."""
        return {
            n: held for n, held in self.reservations.items() if held.nanos and held.expires_at < now
        }

    def stale_tombstones(self, now: float) -> list[str]:
        """Return the names of holds that nobody will ask for any more."""
        oldest = now - TOMBSTONE_SECONDS
        return [
            n
            for n, held in self.reservations.items()
            if not held.nanos and held.expires_at < oldest
        ]


def parse_account(item: Item) -> LedgerAccount:
    """Read an account's item."""
    reservations = {
        name: ReservedAmount(
            nanos=int(value["M"]["n"]["N"]), expires_at=int(value["M"]["until"]["N"])
        )
        for name, value in item.items()
        if name.startswith(RESERVATION_PREFIX)
    }
    available, spent, budget = (
        int(item.get(name, {"N": "0"})["N"]) for name in ("available", "spent", "budget")
    )
    return LedgerAccount(available=available, spent=spent, budget=budget, reservations=reservations)


def new_account(budget: int) -> LedgerAccount:
    """Return the account of a client who has not called yet."""
    return LedgerAccount(available=budget, spent=0, budget=budget, reservations={})


def new_reservation_name() -> str:
    """Return a name that no other hold has."""
    return RESERVATION_PREFIX + secrets.token_hex(8)


def account_key(client: str, period: str) -> Item:
    """Return the key of an account's item."""
    return {"pk": {"S": f"ledger#{client}"}, "sk": {"S": period}}


def usage_key(client: str, day: str, model: str) -> Item:
    """Return the key of what a client used of a model on a day."""
    return {"pk": {"S": usage_partition(client)}, "sk": {"S": f"{day}#{model}"}}


def usage_partition(client: str) -> str:
    """Return the partition key of all that a client used."""
    return f"usage#{client}"
