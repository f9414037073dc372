"""The records of files and batches in DynamoDB; their content is in S3."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from typing import Any

from llm_relay.aws.dynamodb import Item, Table, dynamodb
from llm_relay.aws.s3 import Bucket
from llm_relay.batch.model.codec import (
    build_update,
    decode_item,
    decode_record,
    encode_item,
    record_values,
)
from llm_relay.batch.model.record import Batch, StoredFile

# After this time, or a day after a file has expired, DynamoDB deletes a record.
RECORD_TTL_SECONDS = 400 * 86_400
_EXPIRED_FILE_TTL_SECONDS = 86_400


@lru_cache(maxsize=1)
def store() -> Store:
    """Return the store of this environment, created on first use."""
    return Store(os.environ["BATCHES_TABLE"])


def bucket() -> Bucket:
    """Return the bucket of this environment."""
    return Bucket(os.environ["BATCH_BUCKET"])


class Store:
    """The records of all owners; `client` returns the DynamoDB client."""

    def __init__(self, table: str, client: Callable[[], Any] = dynamodb) -> None:
        self._table = Table(table, client)

    def add(self, record: Batch | StoredFile) -> bool:
        """Add a record; return False if its id is taken."""
        if isinstance(record, StoredFile) and record.expires_at is not None:
            ttl = record.expires_at + _EXPIRED_FILE_TTL_SECONDS
        else:
            ttl = int(time.time()) + RECORD_TTL_SECONDS
        values = {**record_values(record), "ttl": ttl}
        kind = "batches" if isinstance(record, Batch) else "files"
        key = _key(kind, record.owner, record.id)
        done, found = self._set(key, values, "attribute_not_exists(#pk)")
        # An update that was repeated because its reply was lost finds its own record.
        return done or (found or {}).items() >= encode_item(values).items()

    def batch(self, owner: str, batch_id: str) -> Batch | None:
        """Return a batch (consistent read)."""
        return _batch_in(self._table.get(_key("batches", owner, batch_id)))

    def file(self, owner: str, file_id: str) -> StoredFile | None:
        """Return a file unless it has expired (consistent read)."""
        item = self._table.get(_key("files", owner, file_id))
        found = decode_record(StoredFile, item) if item else None
        return found if found and not found.is_expired(time.time()) else None

    def delete_file(self, owner: str, file_id: str) -> None:
        """Delete the record of a file."""
        self._table.delete(_key("files", owner, file_id))

    def batches(self, owner: str, after: str | None, limit: int) -> list[Batch]:
        """Return at most `limit` batches of an owner, newest first, following the id `after`."""
        items = self._table.page(f"batches#{owner}", after, limit, forward=False)
        return [decode_record(Batch, item) for item in items]

    def files(
        self, owner: str, after: str | None, limit: int, *, oldest_first: bool = False
    ) -> list[StoredFile]:
        """Return at most `limit` files of an owner, including expired ones."""
        items = self._table.page(f"files#{owner}", after, limit, forward=oldest_first)
        return [decode_record(StoredFile, item) for item in items]

    def update_batch(
        self,
        owner: str,
        batch_id: str,
        statuses: Collection[str],
        times: Mapping[str, int] | None = None,
        **values: Any,
    ) -> tuple[bool, Batch | None]:
        """Change a batch that has one of these statuses; `times` are added to the stored ones.

        Return whether it was changed, and the batch as it is now (None if there is none).
        """
        expected = {f":status{index}": status for index, status in enumerate(sorted(statuses))}
        # Each time is set by itself, so that a concurrent update of another one is kept.
        values |= {f"times.{name}": moment for name, moment in (times or {}).items()}
        condition = f"#status IN ({', '.join(expected)})"
        done, item = self._set(_key("batches", owner, batch_id), values, condition, expected)
        return done, _batch_in(item)

    def claim(self, owner: str, batch_id: str, execution: str) -> Batch | None:
        """Assign a batch to an execution; None if another one has it or it does not exist."""
        condition = "attribute_type(#execution, :null) OR #execution = :v0"
        key, values = _key("batches", owner, batch_id), {"execution": execution}
        done, item = self._set(key, values, condition, {":null": "NULL"})
        return _batch_in(item) if done else None

    def put_key(self, owner: str, key: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """Store values under an Idempotency-Key unless it has some; return what is stored.

        `ttl`, which is among the values, is when the key expires (seconds since the epoch).
        """
        is_free = "attribute_not_exists(#pk) OR #ttl < :now"
        now = {":now": int(time.time())}
        _, item = self._set(_key("batchkeys", owner, key), values, is_free, now)
        return decode_item(item or {})

    def delete_key(self, owner: str, key: str) -> None:
        """Delete an Idempotency-Key."""
        self._table.delete(_key("batchkeys", owner, key))

    def add_counts(self, owner: str, batch_id: str, completed: int, failed: int) -> Batch | None:
        """Add to the counts of finished rows; return the batch as it is now."""
        key, change = _key("batches", owner, batch_id), "ADD #completed :completed, #failed :failed"
        counts = {":completed": completed, ":failed": failed}
        update = build_update(key, change, "attribute_exists(#pk)", counts)
        return _batch_in(self._table.update(update)[1])

    def _set(
        self,
        key: Item,
        values: Mapping[str, Any],
        condition: str,
        compared: Mapping[str, Any] | None = None,
    ) -> tuple[bool, Item | None]:
        """Set attributes (or members of maps, as in "times.failed_at") under a condition."""
        changes = [f"#{path.replace('.', '.#')} = :v{index}" for index, path in enumerate(values)]
        placed = {f":v{index}": value for index, value in enumerate(values.values())}
        update = build_update(
            key, "SET " + ", ".join(changes), condition, placed | dict(compared or {})
        )
        return self._table.update(update)


def _batch_in(item: Item | None) -> Batch | None:
    return decode_record(Batch, item) if item else None


def _key(kind: str, owner: str, record_id: str) -> Item:
    return {"pk": {"S": f"{kind}#{owner}"}, "sk": {"S": record_id}}
