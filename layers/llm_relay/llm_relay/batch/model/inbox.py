"""Makes a batch of an object that was put into the inbox."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from llm_relay.batch.model.names import INBOX, OPERATOR, OUTBOX, new_id
from llm_relay.batch.model.record import Batch, StoredFile
from llm_relay.batch.model.retention import retention_seconds
from llm_relay.core.client import Client

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llm_relay.batch.model.store import Store

_ENDING = ".jsonl"
_DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxObject:
    """An object that came, as S3's event tells it; told again, it gives the same ids."""

    key: str
    size: int
    version: str  # tells one object under this key from the next
    etag: str | None  # of its content
    at: float  # seconds since the epoch

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> InboxObject:
        """Read S3's "Object Created" event, as EventBridge hands it on."""
        told = event["detail"]["object"]
        return cls(
            key=told["key"],
            size=int(told.get("size", 0)),
            version=told.get("sequencer") or told.get("etag", ""),
            etag=f'"{told["etag"]}"' if told.get("etag") else None,  # as requests spell it
            at=datetime.fromisoformat(event["time"]).timestamp(),
        )

    @property
    def batch_id(self) -> str:
        """The id of the batch that it becomes."""
        return new_id("batch_", f"{self.key} {self.version}", self.at)

    @property
    def is_batch(self) -> bool:
        """Whether it is more than a folder, as the console makes them."""
        return self.key.startswith(INBOX) and not self.key.endswith("/")

    def take_in(self, store: Store) -> None:
        """Keep the records of the file and its batch, unless that was done before."""
        if self.is_batch:
            store.add(self.file())
            store.add(self.batch())

    def file(self) -> StoredFile:
        """Return the record of the file."""
        now = int(time.time())
        return StoredFile(
            id=self.batch_id.replace("batch_", "file-", 1),
            owner=OPERATOR,
            filename=self.key.rpartition("/")[2],
            bytes=self.size,
            key=self.key,
            created_at=now,
            expires_at=now + retention_seconds(),
        )

    def batch(self) -> Batch:
        """Return the record of the batch; its first row will tell the endpoint."""
        below = self.key.removeprefix(INBOX).removesuffix(_ENDING)
        now = int(time.time())  # an event may come late, and the batch has its day all the same
        return Batch(
            id=self.batch_id,
            owner=OPERATOR,
            client=Client(id="", key_id=OPERATOR),
            endpoint="",
            input_file_id=self.file().id,
            input_key=self.key,
            input_etag=self.etag,
            results=f"{OUTBOX}{below}/{self.batch_id}/",
            created_at=now,
            expires_at=now + _DAY_SECONDS,
        )
