"""A client's account for one day or month in UTC, stored as one DynamoDB item.

`available` + `spent` + the amount of every reservation = `budget`, after updates in any order.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llm_relay.aws.dynamodb import Item

_PREFIX = "h_"  # of the attributes that hold reservations
# Long enough after a function's deadline that it is dead and its reservation can be released.
GRACE_SECONDS = 60
# A released reservation stays with amount 0 for so long, in case it is settled after all.
TOMBSTONE_SECONDS = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """A day or a month."""

    name: str  # "2026-11-21" or "2026-11"
    resets_at: str  # when the next one begins, in ISO 8601


def period_at(per: str, now: float) -> Period:
    """Return the "day" or "month" of a Unix time; ValueError for another `per`."""
    day = datetime.fromtimestamp(now, UTC).date()
    if per == "day":
        return Period(name=f"{day}", resets_at=f"{day + timedelta(days=1)}T00:00:00Z")
    if per == "month":
        # Every month is shorter than 32 days.
        next_month = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
        return Period(name=f"{day:%Y-%m}", resets_at=f"{next_month}T00:00:00Z")
    raise ValueError(f"a budget is per day or month, not per {per!r}")


def day_at(now: float) -> str:
    """Return the name of the day of a Unix time."""
    return period_at("day", now).name


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """Money reserved for one call, in nanodollars."""

    client: str
    period: str  # of the account, also if the call ends in the next one
    day: str
    nanos: int
    expires_at: int  # Unix time
    # Of its attribute in the account.
    name: str = field(default_factory=lambda: _PREFIX + secrets.token_hex(8))


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
    maps = {name: value["M"] for name, value in item.items() if name.startswith(_PREFIX)}
    reservations = {
        name: ReservedAmount(nanos=int(each["n"]["N"]), expires_at=int(each["until"]["N"]))
        for name, each in maps.items()
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
