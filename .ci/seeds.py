"""Creates the data that the batch sample events need: their file, record and earlier results."""

from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING, Any

from sample_events import EVENTS, Json, cases

from llm_relay.batch.api.uploads import parse_form
from llm_relay.batch.model import names
from llm_relay.batch.model.execution import batch_reference
from llm_relay.batch.model.input_file import Chunk, format_manifest
from llm_relay.batch.model.record import CANCELLING, IN_PROGRESS, VALIDATING, Batch
from llm_relay.batch.model.results import RowResult, format_part
from llm_relay.core.client import Client

if TYPE_CHECKING:
    from llm_relay.aws.s3 import Bucket
    from llm_relay.batch.model.store import Store

FILE_ID = "file-19ac4d3a1800123456789abcdef"
DAY_SECONDS = 86_400


def seed(bucket: Bucket, store: Store) -> None:
    """Create what the events of the three steps of a batch need."""
    seeds = {"batch_plan": for_plan, "batch_worker": for_worker, "batch_assemble": for_assemble}
    for case in cases():
        if case.folder in seeds:
            seeds[case.folder](bucket, store, case.event)


def for_plan(bucket: Bucket, store: Store, event: Json) -> None:
    """Create a file in the inbox, or a new batch."""
    step_input = event["input"]
    if "detail" in step_input:
        bucket.put(step_input["detail"]["object"]["key"], rows())
    else:
        add_batch(bucket, store, step_input, status=VALIDATING)


def for_worker(bucket: Bucket, store: Store, event: Json) -> None:
    """Create a batch without a finished row."""
    add_batch(bucket, store, event, status=IN_PROGRESS, total=len(custom_ids()))


def for_assemble(bucket: Bucket, store: Store, event: Json) -> None:
    """Create a batch whose first row has been answered."""
    status = CANCELLING if "close" in event else IN_PROGRESS
    execution = batch_reference(event).execution
    facts = {"status": status, "total": len(custom_ids()), "execution": execution}
    batch = add_batch(bucket, store, event, **facts)
    chunk = Chunk(number=0, start=0, end=len(rows()), first_row=0, rows=batch.total)
    bucket.put(names.manifest_key(batch.id), format_manifest([chunk]))
    line = json.dumps({"custom_id": custom_ids()[0], "response": {"status_code": 200}})
    answered = RowResult(row=0, line=f"{line}\n".encode(), is_answer=True)
    bucket.put(names.part_key(batch.id, chunk.number, 1, 0), format_part([answered]))


def add_batch(bucket: Bucket, store: Store, event: Json, **facts: Any) -> Batch:
    """Store the record of the batch that a step works on, and its file."""
    subject, now = batch_reference(event), int(time.time())
    batch = Batch(
        id=subject.batch,
        owner=subject.owner,
        client=Client(id="", key_id=subject.owner),
        endpoint="/v1/chat/completions",
        input_file_id=FILE_ID,
        input_key=names.upload_key(subject.owner, FILE_ID),
        results=names.batch_prefix(subject.batch),
        created_at=now,
        expires_at=now + DAY_SECONDS,
        **facts,
    )
    bucket.put(batch.input_key, rows())
    store.add(batch)
    return batch


def rows() -> bytes:
    """Return the file that the event of an upload brings."""
    event = json.loads((EVENTS / "files" / "create.json").read_text())
    form = parse_form(event["headers"]["Content-Type"], base64.b64decode(event["body"]))
    return form.file or b""


def custom_ids() -> list[str]:
    """Return the custom ids of the rows of that file."""
    return [json.loads(row)["custom_id"] for row in rows().splitlines()]
