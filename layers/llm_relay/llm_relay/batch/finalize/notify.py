"""Publishes the end of a batch."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from llm_relay.batch.model.names import ERRORS, OUTPUT, results_key
from llm_relay.batch.model.store import bucket, store
from llm_relay.notifications.events import publish

if TYPE_CHECKING:
    from llm_relay.batch.model.record import Batch

_PUBLISHED_AT = "announced_at"


def publish_end(batch: Batch) -> None:
    """Publish that a batch has ended unless that is done; a retry may publish it again."""
    if _PUBLISHED_AT in batch.times:
        return
    document = batch.document()
    # Beside the results, for users of the inbox, who may have access to the bucket alone.
    bucket().put(f"{batch.results}batch.json", json.dumps(document, indent=2).encode())
    data = {
        "owner": batch.owner,
        "request_counts": document["request_counts"],
        "input": f"s3://{bucket().name}/{batch.input_key}",
    }
    for kind, file_id in ((OUTPUT, batch.output_file_id), (ERRORS, batch.error_file_id)):
        data[kind] = f"s3://{bucket().name}/{results_key(batch, kind)}" if file_id else None
    publish(f"batch.{batch.status}", batch.id, data)
    times = {_PUBLISHED_AT: int(time.time())}
    store().update_batch(batch.owner, batch.id, {batch.status}, times)
