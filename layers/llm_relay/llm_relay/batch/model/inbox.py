"""Creates a batch from an object that was put into the inbox."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from llm_relay.batch.model.names import INBOX, OPERATOR, OUTBOX, new_id
from llm_relay.batch.model.record import WINDOW_SECONDS, Batch, StoredFile, retention_seconds
from llm_relay.core.client import Client

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llm_relay.batch.model.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxObject:
    """An object from S3's event; a repeated event gives the same ids."""

    key: str
    size: int
    version: str  # differs between objects that were put under the same key
    etag: str | None  # in quotation marks, as requests have it
    created_at: float  # seconds since the epoch

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> InboxObject:
        """Return the object of S3's "Object Created" event, as EventBridge delivers it."""
        found = event["detail"]["object"]
        return cls(
            key=found["key"],
            size=int(found.get("size", 0)),
            version=found.get("sequencer") or found.get("etag", ""),
            etag=f'"{found["etag"]}"' if found.get("etag") else None,
            created_at=datetime.fromisoformat(event["time"]).timestamp(),
        )

    @property
    def batch_id(self) -> str:
        """The id of its batch."""
        return new_id("batch_", f"{self.key} {self.version}", self.created_at)

    def register(self, store: Store) -> None:
        """Add the records of the file and its batch unless they exist; ignore folders."""
        if self.key.startswith(INBOX) and not self.key.endswith("/"):
            file = self._file()
            store.add(file)
            store.add(self._batch(file))

    def _file(self) -> StoredFile:
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

    def _batch(self, file: StoredFile) -> Batch:
        path = self.key.removeprefix(INBOX).removesuffix(".jsonl")
        return Batch(
            id=self.batch_id,
            owner=OPERATOR,
            client=Client(id="", key_id=OPERATOR),
            endpoint="",  # the plan takes it from the first row
            input_file_id=file.id,
            input_key=self.key,
            input_etag=self.etag,
            results=f"{OUTBOX}{path}/{self.batch_id}/",
            created_at=file.created_at,
            expires_at=file.created_at + WINDOW_SECONDS,
        )
