"""Who is at which job: one item each in DynamoDB, held for as long as an invocation lives.

queued ──take──▶ in_progress ──end──▶ completed, incomplete, failed or cancelled
   ▲                  │ temporary failure; or held until its time was over
   └──────────────────┘
"""

from __future__ import annotations

import os
import secrets
import time
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

from llm_relay.aws.dynamodb import Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llm_relay.aws.dynamodb import Item

    Facts: TypeAlias = Mapping[str, str | int]

QUEUED = "queued"
IN_PROGRESS = "in_progress"
CANCELLED = "cancelled"
UNENDED = frozenset({QUEUED, IN_PROGRESS})
# Longer than SQS keeps a message, so that a late one still finds what became of it.
KEPT_SECONDS = 30 * 86_400

# Done already, and by the holder itself, if the reply to the first of two tries was lost.
_IS_FREE = (
    "(#status = :queued OR (#status = :in_progress AND (#until < :now OR #holder = :holder)))"
)
_IS_MINE = "#holder = :holder AND (#status = :in_progress OR #status = :status)"
_IS_SAME = f"attribute_not_exists(pk) OR (#digest = :digest AND {_IS_FREE})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """One delivery of one message; it holds a job until a moment in seconds since the epoch."""

    until: int
    name: str = field(default_factory=lambda: secrets.token_hex(8))


@lru_cache(maxsize=1)
def leases() -> Leases:
    """Return the leases of this environment, made on first use."""
    return Leases(Table(os.environ["BATCHES_TABLE"]))


class Leases:
    """The leases in one table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def take(self, key: Item, holder: Holder, digest: str | None) -> tuple[bool, Item | None]:
        """Return whether the job is the holder's now, and its item as it is (None: there is none).

        With a digest of what is to be done, the item is made if there is none, and whoever comes
        with another digest does not get it.
        """
        now = int(time.time())
        sets: Facts = {"status": IN_PROGRESS, "until": holder.until, "holder": holder.name}
        known: Facts = {"queued": QUEUED, "in_progress": IN_PROGRESS, "now": now}
        if digest is not None:
            sets = {**sets, "digest": digest, "ttl": now + KEPT_SECONDS}
        return self._table.update(
            {
                "Key": key,
                "UpdateExpression": f"{_setting(sets)} ADD #deliveries :one",
                "ConditionExpression": _IS_FREE if digest is None else _IS_SAME,
                "ExpressionAttributeNames": _named([*sets, "deliveries"]),
                "ExpressionAttributeValues": _values({**sets, **known, "one": 1}),
            }
        )

    def end(self, key: Item, holder: Holder, status: str) -> tuple[bool, Item | None]:
        """Put a job of the holder's into a state; return whether it still was, and its item."""
        return self._table.update(
            {
                "Key": key,
                "UpdateExpression": "SET #status = :status, #until = :never",
                "ConditionExpression": _IS_MINE,
                "ExpressionAttributeNames": _named(["status", "until", "holder"]),
                "ExpressionAttributeValues": _values(
                    {
                        "status": status,
                        "never": 0,
                        "in_progress": IN_PROGRESS,
                        "holder": holder.name,
                    }
                ),
            }
        )


def text_of(item: Item, name: str) -> str:
    """Return a text of an item, empty if it has none."""
    return str(item.get(name, {}).get("S", ""))


def number_of(item: Item, name: str) -> int:
    """Return a number of an item, 0 if it has none."""
    return int(item.get(name, {}).get("N", 0))


def attributes(facts: Facts) -> Item:
    """Return texts and whole numbers as DynamoDB writes them."""
    return {
        name: {"S": fact} if isinstance(fact, str) else {"N": str(fact)}
        for name, fact in facts.items()
    }


def _setting(facts: Facts) -> str:
    return "SET " + ", ".join(f"#{name} = :{name}" for name in facts)


def _named(names: list[str]) -> dict[str, str]:
    return {f"#{name}": name for name in names}


def _values(facts: Facts) -> Item:
    return {f":{name}": value for name, value in attributes(facts).items()}
