"""A client's account for one day or month, stored as one DynamoDB item.

`available` + `spent` + the amount of every reservation = `budget`, after updates in any order.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_RESERVATION_PREFIX = "h_"
# Long enough after a function's deadline that it is dead and its reservation can be released.
GRACE_SECONDS = 60
# A released reservation stays with amount 0 for so long, in case it is settled after all.
TOMBSTONE_SECONDS = 3600

Item = dict[str, Any]


def _new_name() -> str:
    return _RESERVATION_PREFIX + secrets.token_hex(8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """Money reserved for one call, in nanodollars."""

    client: str
    period: str  # of the account, also if the call ends in the next one
    day: str
    nanos: int
    expires_at: int  # Unix time
    name: str = field(default_factory=_new_name)  # of its attribute in the account


@dataclass(frozen=True, slots=True, kw_only=True)
class ReservedAmount:
    """A reservation as the account stores it: 0 nanodollars once it is swept."""

    nanos: int
    expires_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerAccount:
    """An account as it was read, in nanodollars."""

    available: int
    spent: int
    budget: int  # the one that `available` was computed with
    reservations: Mapping[str, ReservedAmount]

    def available_under(self, budget: int) -> int:
        """Return what is available under another budget."""
        return self.available + budget - self.budget

    def reserved(self, now: float) -> int:
        """Return what calls in progress have reserved."""
        return sum(each.nanos for each in self.reservations.values() if each.expires_at >= now)

    def expired(self, now: float) -> dict[str, ReservedAmount]:
        """Return the reservations of crashed calls."""
        found = self.reservations.items()
        return {name: each for name, each in found if each.nanos and each.expires_at < now}

    def stale_tombstones(self, now: float) -> list[str]:
        """Return the names of swept reservations that can no longer be settled."""
        oldest, found = now - TOMBSTONE_SECONDS, self.reservations.items()
        return [name for name, each in found if not each.nanos and each.expires_at < oldest]


def parse_account(item: Item) -> LedgerAccount:
    """Read an account's item."""
    amounts = {
        name: int(item.get(name, {}).get("N", 0)) for name in ("available", "spent", "budget")
    }
    reservations = {
        name: ReservedAmount(
            nanos=int(value["M"]["n"]["N"]), expires_at=int(value["M"]["until"]["N"])
        )
        for name, value in item.items()
        if name.startswith(_RESERVATION_PREFIX)
    }
    return LedgerAccount(**amounts, reservations=reservations)


def new_account(budget: int) -> LedgerAccount:
    """Return the account of a client without calls."""
    return LedgerAccount(available=budget, spent=0, budget=budget, reservations={})


def account_key(client: str, period: str) -> Item:
    """Return the key of an account's item."""
    return {"pk": {"S": f"ledger#{client}"}, "sk": {"S": period}}


def usage_partition(client: str) -> str:
    """Return the partition key of a client's usage; the sort key is "<day>#<model>"."""
    return f"usage#{client}"
