"""The end of a batch: what is told of it, and where."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from llm_relay.notifications.event_bridge import publish

if TYPE_CHECKING:
    from llm_relay.aws.s3 import Bucket
    from llm_relay.batch.model.record import Batch
    from llm_relay.batch.model.store import Store

OUTPUT = "output"
ERRORS = "errors"

_TOLD_AT = "announced_at"


def results_key(batch: Batch, kind: str) -> str:
    """Return where results of a kind lie, `output` or `errors`."""
    return f"{batch.results}{kind}.jsonl"


def publish_end(store: Store, bucket: Bucket, batch: Batch) -> None:
    """Tell that a batch has ended, unless that was done before."""
    if _TOLD_AT in batch.times:
        return
    document = batch.document()
    # Beside the results, for those who come through the inbox and see nothing but the bucket.
    bucket.put(f"{batch.results}batch.json", json.dumps(document, indent=2).encode())
    publish(f"batch.{batch.status}", batch.id, _news(bucket, batch, document))
    store.change(batch.owner, batch.id, {batch.status}, times={_TOLD_AT: int(time.time())})


def _news(bucket: Bucket, batch: Batch, document: dict[str, Any]) -> dict[str, Any]:
    files = {OUTPUT: batch.output_file_id, ERRORS: batch.error_file_id}
    return {
        "owner": batch.owner,
        "request_counts": document["request_counts"],
        "input": f"s3://{bucket.name}/{batch.input_key}",
        **{
            kind: f"s3://{bucket.name}/{results_key(batch, kind)}" if file_id else None
            for kind, file_id in files.items()
        },
    }
