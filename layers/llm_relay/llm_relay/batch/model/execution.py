"""The input of the state machine's steps: which batch a step works on."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from llm_relay.batch.model import record
from llm_relay.batch.model.names import INBOX, OPERATOR, OUTBOX, new_id
from llm_relay.batch.model.record import Batch, Document, StoredFile
from llm_relay.core.client import Client
from llm_relay.core.error_log import log_internal_error

if TYPE_CHECKING:
    from llm_relay.batch.model.store import Store


class StepFailed(Exception):  # noqa: N818 - Step Functions shows this name to the operator
    """A step failed and may be retried; the function's log has the location of the error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxObject:
    """An object from S3's event and the id of its batch; a repeated event gives the same id."""

    key: str
    size: int
    etag: str | None  # in quotation marks, as requests have it
    batch_id: str

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> InboxObject:
        """Return the object of S3's "Object Created" event, as EventBridge delivers it."""
        found = event["detail"]["object"]
        key, etag = found["key"], found.get("etag")
        version = found.get("sequencer") or etag or ""  # another object may have had the same key
        created_at = datetime.fromisoformat(event["time"]).timestamp()
        return cls(
            key=key,
            size=int(found.get("size", 0)),
            etag=f'"{etag}"' if etag else None,
            batch_id=new_id("batch_", f"{key} {version}", created_at),
        )

    def register(self, store: Store) -> None:
        """Add the records of the file and its batch unless they exist; ignore folders."""
        if not self.key.startswith(INBOX) or self.key.endswith("/"):
            return
        now, path = int(time.time()), self.key.removeprefix(INBOX).removesuffix(".jsonl")
        file = StoredFile(
            id=self.batch_id.replace("batch_", "file-", 1),
            owner=OPERATOR,
            filename=self.key.rpartition("/")[2],
            bytes=self.size,
            key=self.key,
            created_at=now,
            expires_at=now + record.retention_seconds(),
        )
        store.add(file)
        store.add(
            Batch(
                id=self.batch_id,
                owner=OPERATOR,
                client=Client(id="", key_id=OPERATOR),
                endpoint="",  # the plan takes it from the first row
                input_file_id=file.id,
                input_key=self.key,
                input_etag=self.etag,
                results=f"{OUTBOX}{path}/{self.batch_id}/",
                created_at=now,
                expires_at=now + record.WINDOW_SECONDS,
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchReference:
    """The batch that a step works on."""

    owner: str
    batch: str
    execution: str | None = None  # the failed execution; None if the step may end any batch
    inbox_object: InboxObject | None = None  # the input, if the batch came through the inbox

    def document(self) -> Document:
        """Return the fields that each step passes to the next."""
        return {"owner": self.owner, "batch": self.batch}


def batch_reference(event: Mapping[str, Any]) -> BatchReference:
    """Return the batch of a step: from its ids, an S3 event, or the event of a failed execution."""
    detail = event.get("detail")
    if detail is None:
        return BatchReference(owner=event["owner"], batch=event["batch"])
    if "executionArn" not in detail:
        found = InboxObject.from_event(event)
        return BatchReference(owner=OPERATOR, batch=found.batch_id, inbox_object=found)
    first_input = json.loads(detail["input"])
    # An execution that finalizes a cancelled batch is not the one that ran it.
    execution = None if "close" in first_input else detail["executionArn"]
    return replace(batch_reference(first_input), execution=execution)


def run_step(event: Mapping[str, Any], work: Callable[[], Document]) -> Document:
    """Return the result of a step; StepFailed, whose message holds nothing of the rows."""
    try:
        return work()
    except Exception as error:  # noqa: BLE001 - the runtime would print what the error quotes
        log_internal_error(error, str(event.get("batch") or "batch"))
        raise StepFailed(f"{type(error).__name__}. See the function's log.") from None
