"""What a client can ask for of its files and batches, in DynamoDB; contents are in S3."""

from __future__ import annotations

import os
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from llm_relay.aws.dynamodb import Table, dynamodb
from llm_relay.batch.model.codec import decoded, encoded, facts_of, record_in
from llm_relay.batch.model.record import Batch, StoredFile

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from llm_relay.aws.dynamodb import Item

# What DynamoDB deletes by itself: so long after it was made, or after a file's time is over.
RECORD_TTL_SECONDS = 400 * 86_400
_PAST_ITS_TIME_SECONDS = 86_400


@lru_cache(maxsize=1)
def store() -> Store:
    """Return the store of this environment, made on first use."""
    return Store(os.environ["BATCHES_TABLE"])


class Store:
    """The records of all owners; `client` makes the client of DynamoDB."""

    def __init__(self, table: str, client: Callable[[], Any] = dynamodb) -> None:
        self._table = Table(table, client)

    def add(self, record: Batch | StoredFile) -> bool:
        """Keep a new record; return whether its id was free."""
        values = {**facts_of(record), "ttl": _forgotten_at(record)}
        done, found = self._update(_key_of(record), values, "attribute_not_exists(pk)")
        # The same is there already if the reply to the first of two tries was lost.
        return done or (found or {}).items() >= encoded(values).items()

    def batch(self, owner: str, batch_id: str) -> Batch | None:
        """Return a batch as it is now."""
        item = self._table.get(_key("batches", owner, batch_id))
        return record_in(Batch, item) if item else None

    def file(self, owner: str, file_id: str) -> StoredFile | None:
        """Return a file, unless its time is over."""
        item = self._table.get(_key("files", owner, file_id))
        found = record_in(StoredFile, item) if item else None
        return found if found and not found.is_over(time.time()) else None

    def delete_file(self, owner: str, file_id: str) -> None:
        """Forget a file."""
        self._table.delete(_key("files", owner, file_id))

    def batches(self, owner: str, after: str | None, limit: int) -> list[Batch]:
        """Return so many batches of an owner, newest first, from the one after `after` on."""
        items = self._table.page(f"batches#{owner}", after, limit, forward=False)
        return [record_in(Batch, item) for item in items]

    def files(
        self, owner: str, after: str | None, limit: int, *, oldest_first: bool = False
    ) -> list[StoredFile]:
        """Return so many files of an owner, those whose time is over included."""
        items = self._table.page(f"files#{owner}", after, limit, forward=oldest_first)
        return [record_in(StoredFile, item) for item in items]

    def change(
        self, owner: str, batch_id: str, states: Collection[str], **values: Any
    ) -> tuple[bool, Batch | None]:
        """Change a batch if it is in one of these states; `times` are added to those it has.

        Return whether it was, and the batch as it is then (None if there is none).
        """
        among = {f":state{index}": state for index, state in enumerate(sorted(states))}
        times = values.pop("times", None)
        done, item = self._update(
            _key("batches", owner, batch_id),
            values,
            f"#status IN ({', '.join(among)})",
            among,
            times,
        )
        return done, record_in(Batch, item) if item else None

    def claim(self, owner: str, batch_id: str, execution: str) -> Batch | None:
        """Take a batch for an execution; None if another one has it, or there is none."""
        done, item = self._update(
            _key("batches", owner, batch_id),
            {"execution": execution},
            "attribute_type(#execution, :null) OR #execution = :execution",
            {":null": "NULL"},
        )
        return record_in(Batch, item) if done and item else None

    def first(self, owner: str, key: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return what was first kept under a key of an owner: these values if it is new.

        A key may come afresh after `ttl`, which is among the values.
        """
        place = _key("batchkeys", owner, key)
        is_free = "attribute_not_exists(pk) OR #ttl < :now"
        _, item = self._update(place, values, is_free, {":now": int(time.time())})
        return decoded(item or {})

    def forget(self, owner: str, key: str) -> None:
        """Let a key be used as if it had never come."""
        self._table.delete(_key("batchkeys", owner, key))

    def count(self, owner: str, batch_id: str, completed: int, failed: int) -> Batch | None:
        """Add to the rows that are done; return the batch as it is then."""
        update = {
            "Key": _key("batches", owner, batch_id),
            "UpdateExpression": "ADD #completed :completed, #failed :failed",
            "ConditionExpression": "attribute_exists(pk)",
            "ExpressionAttributeNames": {"#completed": "completed", "#failed": "failed"},
            "ExpressionAttributeValues": encoded({":completed": completed, ":failed": failed}),
        }
        item = self._table.update(update)[1]
        return record_in(Batch, item) if item else None

    def _update(
        self,
        key: Item,
        values: Mapping[str, Any],
        condition: str,
        compared: Mapping[str, Any] | None = None,
        times: Mapping[str, int] | None = None,
    ) -> tuple[bool, Item | None]:
        # Each moment by itself: whoever writes another one at the same time loses nothing.
        moments = times or {}
        sets = [f"#{name} = :{name}" for name in values]
        sets += [f"#times.#{name} = :{name}" for name in moments]
        named = {*values, *moments, *(["times"] if moments else [])}
        if "#status" in condition:
            named.add("status")
        return self._table.update(
            {
                "Key": key,
                "UpdateExpression": "SET " + ", ".join(sets),
                "ConditionExpression": condition,
                "ExpressionAttributeNames": {f"#{name}": name for name in named},
                "ExpressionAttributeValues": encoded(
                    {f":{name}": value for name, value in {**values, **moments}.items()}
                    | dict(compared or {})
                ),
            }
        )


def _forgotten_at(record: Batch | StoredFile) -> int:
    if isinstance(record, StoredFile) and record.expires_at is not None:
        return record.expires_at + _PAST_ITS_TIME_SECONDS
    return int(time.time()) + RECORD_TTL_SECONDS


def _key(kind: str, owner: str, record_id: str) -> Item:
    return {"pk": {"S": f"{kind}#{owner}"}, "sk": {"S": record_id}}


def _key_of(record: Batch | StoredFile) -> Item:
    return _key("batches" if isinstance(record, Batch) else "files", record.owner, record.id)
