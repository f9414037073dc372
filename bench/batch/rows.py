"""Rows of a batch, and where the batch functions find them."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.environment.answers import MODEL

if TYPE_CHECKING:
    from bench.environment.environment import BenchContext
    from bench.environment.runtime_api import Environment

BUCKET, TABLE = "bench-batches", "bench-batches"
_KEYS = (("pk", "HASH"), ("sk", "RANGE"))
_MARK = b"00000000"
_ROW = {
    "custom_id": f"row-{_MARK.decode()}",
    "method": "POST",
    "url": "/v1/chat/completions",
    "body": {
        "model": MODEL,
        "messages": [
            {"role": "system", "content": "You are a helpful assistant."},
            {"role": "user", "content": "Tell me of the fox. " * 16},
        ],
        "max_tokens": 64,
    },
}
_BEFORE, _, _AFTER = json.dumps(_ROW).encode().partition(_MARK)


def row(number: int) -> bytes:
    """Return a row as a line, always of the same length."""
    return b"%b%08d%b\n" % (_BEFORE, number, _AFTER)


ROW_BYTES = len(row(0))


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedBatch:
    """A batch with a checked file; the chunks are in the manifest."""

    batch: str
    owner: str
    manifest: str  # its key

    def worker_input(self, chunk: dict[str, int]) -> dict[str, Any]:
        """Return the input that Step Functions gives a worker for a chunk."""
        return {**self.assemble_input(), "chunk": chunk, "silent_invocations": 0}

    def assemble_input(self) -> dict[str, Any]:
        """Return the input that Step Functions gives the last step."""
        return {"owner": self.owner, "batch": self.batch}


def make_stores(context: BenchContext) -> None:
    """Make the bucket and the table."""
    context.aws("s3").create_bucket(Bucket=BUCKET)
    context.aws("dynamodb").create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in _KEYS],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name, _ in _KEYS],
        BillingMode="PAY_PER_REQUEST",
    )


def environ(rows_per_chunk: int = 2000, **more: str) -> dict[str, str]:
    """Return the environment variables of the batch functions, besides the relay's own."""
    kept = {"BATCH_BUCKET": BUCKET, "BATCHES_TABLE": TABLE, "CLIENTS_TABLE": TABLE}
    return kept | {"BATCH_ROWS_PER_CHUNK": str(rows_per_chunk)} | more


def plan_batch(plan: Environment, rows: int) -> PlannedBatch:
    """Run the plan function on a file in the inbox."""
    key = inbox_key(rows)
    event = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "detail": {
            "bucket": {"name": BUCKET},
            "object": {"key": key, "size": rows * ROW_BYTES, "sequencer": str(time.time_ns())},
        },
    }
    answer = json.loads(plan.invoke({"execution": f"arn:{key}", "input": event}).body)
    if answer.get("outcome") != "planned":
        raise RuntimeError(f"No plan for {key}: {answer}")
    return PlannedBatch(
        batch=answer["batch"], owner=answer["owner"], manifest=answer["manifest"]["key"]
    )


def inbox_key(rows: int) -> str:
    """Return the key of a file of so many rows."""
    return f"inbox/{rows}.jsonl"
