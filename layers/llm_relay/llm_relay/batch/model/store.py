"""The records of files and batches in DynamoDB; their content is in S3."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from typing import Any, TypeVar

from llm_relay.aws.dynamodb import Item, Table, dynamodb
from llm_relay.aws.s3 import Bucket
from llm_relay.batch.model.codec import build_update, decode_item, encode_item, set_expression
from llm_relay.batch.model.record import Batch, StoredFile
from llm_relay.core.client import parse_client

# After this time, or a day after a file has expired, DynamoDB deletes a record.
RECORD_TTL_SECONDS = 400 * 86_400
_EXPIRED_FILE_TTL_SECONDS = 86_400

_Record = TypeVar("_Record", Batch, StoredFile)


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
        values, ttl = dataclasses.asdict(record), int(time.time()) + RECORD_TTL_SECONDS
        if isinstance(record, Batch):
            values["client"] = record.client.document()
        elif record.expires_at is not None:
            ttl = record.expires_at + _EXPIRED_FILE_TTL_SECONDS
        values["ttl"] = ttl
        key = _key("batches" if isinstance(record, Batch) else "files", record.owner, record.id)
        done, found = self._set(key, values, "attribute_not_exists(#pk)")
        # An update that was repeated because its reply was lost finds its own record.
        return done or (found or {}).items() >= encode_item(values).items()

    def batch(self, owner: str, batch_id: str) -> Batch | None:
        """Return a batch (consistent read)."""
        return _batch_in(self._table.get(_key("batches", owner, batch_id)))

    def file(self, owner: str, file_id: str) -> StoredFile | None:
        """Return a file unless it has expired (consistent read)."""
        item = self._table.get(_key("files", owner, file_id))
        found = _decode(StoredFile, item) if item else None
        return found if found and not found.is_expired(time.time()) else None

    def delete_file(self, owner: str, file_id: str) -> None:
        """Delete the record of a file."""
        self._table.delete(_key("files", owner, file_id))

    def batches(self, owner: str, after: str | None, limit: int) -> list[Batch]:
        """Return at most `limit` batches of an owner, newest first, following the id `after`."""
        items = self._table.page(f"batches#{owner}", after, limit, forward=False)
        return [_decode(Batch, item) for item in items]

    def files(
        self, owner: str, after: str | None, limit: int, *, oldest_first: bool = False
    ) -> list[StoredFile]:
        """Return at most `limit` files of an owner, including expired ones."""
        items = self._table.page(f"files#{owner}", after, limit, forward=oldest_first)
        return [_decode(StoredFile, item) for item in items]

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
        expected = {f"status{index}": status for index, status in enumerate(sorted(statuses))}
        # Each time is set by itself, so that a concurrent update of another one is kept; before
        # the status, for emulators of DynamoDB whose updates are not atomic.
        values = {f"times.{name}": moment for name, moment in (times or {}).items()} | values
        condition = f"#status IN (:{', :'.join(expected)})"
        done, item = self._set(_key("batches", owner, batch_id), values, condition, expected)
        return done, _batch_in(item)

    def claim(self, owner: str, batch_id: str, execution: str) -> Batch | None:
        """Assign a batch to an execution; None if another one has it or it does not exist."""
        condition = "attribute_type(#execution, :null) OR #execution = :execution"
        key, values = _key("batches", owner, batch_id), {"execution": execution}
        done, item = self._set(key, values, condition, {"null": "NULL"})
        return _batch_in(item) if done else None

    def add_counts(self, owner: str, batch_id: str, completed: int, failed: int) -> Batch | None:
        """Add to the counts of finished rows; return the batch as it is now."""
        key, change = _key("batches", owner, batch_id), "ADD #completed :completed, #failed :failed"
        counts = {"completed": completed, "failed": failed}
        update = build_update(key, change, counts, "attribute_exists(#pk)")
        return _batch_in(self._table.update(update)[1])

    def put_key(self, owner: str, key: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """Store values under an Idempotency-Key unless it has some; return what is stored.

        `ttl`, which is among the values, is when the key expires (seconds since the epoch).
        """
        is_free = "attribute_not_exists(#pk) OR #ttl < :now"
        now = {"now": int(time.time())}
        _, item = self._set(_key("batchkeys", owner, key), values, is_free, now)
        return decode_item(item or {})

    def delete_key(self, owner: str, key: str) -> None:
        """Delete an Idempotency-Key."""
        self._table.delete(_key("batchkeys", owner, key))

    def _set(
        self,
        key: Item,
        values: Mapping[str, Any],
        condition: str,
        compared: Mapping[str, Any] | None = None,
    ) -> tuple[bool, Item | None]:
        """Set attributes (or members of maps, as in "times.failed_at") under a condition."""
        named = {**values, **(compared or {})}
        return self._table.update(build_update(key, set_expression(values), named, condition))


def _batch_in(item: Item | None) -> Batch | None:
    return _decode(Batch, item) if item else None


def _decode(kind: type[_Record], item: Item) -> _Record:
    """Return the record in an item; attributes that the record does not have are ignored."""
    names = {field.name for field in dataclasses.fields(kind)}
    values = {name: value for name, value in decode_item(item).items() if name in names}
    if kind is Batch:
        values |= {"client": parse_client(values["client"]), "errors": tuple(values["errors"])}
    return kind(**values)


def _key(kind: str, owner: str, record_id: str) -> Item:
    return {"pk": {"S": f"{kind}#{owner}"}, "sk": {"S": record_id}}
