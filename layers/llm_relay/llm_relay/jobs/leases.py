"""Job leases in DynamoDB, each held by one delivery of a message.

queued ──acquire──▶ in_progress ──set_status──▶ completed, incomplete, failed or cancelled
   ▲                     │ temporary failure, or the lease expires
   └─────────────────────┘
"""

from __future__ import annotations

import os
import time
from typing import Any

from llm_relay.aws.dynamodb import Item, Table
from llm_relay.batch.model.codec import build_update, decode_item, set_expression

QUEUED = "queued"
IN_PROGRESS = "in_progress"
CANCELLED = "cancelled"
UNFINISHED = frozenset({QUEUED, IN_PROGRESS})
# Longer than SQS keeps a message, so that a late one finds the job's end.
RETENTION_SECONDS = 30 * 86_400

Record = dict[str, Any]  # the attributes of a job

# The SDK may repeat an update whose reply was lost; then the holder is this delivery.
_IS_FREE = (
    "(#status = :queued OR (#status = :in_progress AND (#until < :now OR #holder = :holder)))"
)
_IS_HELD = "#holder = :holder AND (#status = :in_progress OR #status = :status)"
_IS_FREE_WITH_DIGEST = f"attribute_not_exists(pk) OR (#digest = :digest AND {_IS_FREE})"


def jobs_table() -> Table:
    """Return the table of leases and background responses."""
    return Table(os.environ["BATCHES_TABLE"])


def update_record(
    key: Item, change: str, values: Record, condition: str | None = None
) -> tuple[bool, Record | None]:
    """Return whether the condition was met, and the current record; None if there is none."""
    done, item = jobs_table().update(build_update(key, change, values, condition))
    return done, decode_item(item) if item else None


def acquire(
    key: Item, holder: str, expires_at: int, digest: str | None
) -> tuple[bool, Record | None]:
    """Return whether the holder has the job now, and its record; None if there is none.

    The lease expires at a Unix time in seconds. With a digest of the job's content, a missing
    record is created, and one with another digest is not acquired.
    """
    now = int(time.time())
    sets: Record = {"status": IN_PROGRESS, "until": expires_at, "holder": holder}
    if digest is not None:
        sets |= {"digest": digest, "ttl": now + RETENTION_SECONDS}
    change = f"{set_expression(sets)} ADD #deliveries :one"
    values = sets | {"queued": QUEUED, "in_progress": IN_PROGRESS, "now": now, "one": 1}
    return update_record(key, change, values, _IS_FREE if digest is None else _IS_FREE_WITH_DIGEST)


def set_status(key: Item, holder: str, status: str) -> tuple[bool, Record | None]:
    """Give a held job a status and end the lease; return whether it was held, and its record."""
    sets: Record = {"status": status, "until": 0}
    values = sets | {"in_progress": IN_PROGRESS, "holder": holder}
    return update_record(key, set_expression(sets), values, _IS_HELD)
