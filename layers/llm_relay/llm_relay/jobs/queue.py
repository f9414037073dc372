"""The queue of jobs, in SQS."""

from __future__ import annotations

import json
import os
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

# SQS hides a message for 12 h at the most, counted from when it was received.
_LONGEST_WAIT_SECONDS = 11 * 3600


@lru_cache(maxsize=1)
def sqs() -> Any:
    """Return the client of this environment, made on first use."""
    import boto3  # noqa: PLC0415 - a quarter of a second that interactive calls need not wait
    from botocore.config import Config  # noqa: PLC0415

    patience = Config(
        connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 4}
    )
    return boto3.client("sqs", config=patience)


def jobs_queue() -> Queue | None:
    """Return the queue of this environment; None if it has none."""
    url = os.environ.get("JOBS_QUEUE_URL")
    return Queue(url) if url else None


class Queue:
    """One queue; `client` makes the client of SQS."""

    def __init__(self, url: str, client: Callable[[], Any] = sqs) -> None:
        self._url = url
        self._client = client

    def send(self, document: dict[str, Any]) -> None:
        """Add a message."""
        body = json.dumps(document, separators=(",", ":"))
        self._client().send_message(QueueUrl=self._url, MessageBody=body)

    def postpone(self, receipt_handle: str, seconds: float) -> None:
        """Have a message that was received delivered again after so many seconds, no sooner."""
        self._client().change_message_visibility(
            QueueUrl=self._url,
            ReceiptHandle=receipt_handle,
            VisibilityTimeout=min(_LONGEST_WAIT_SECONDS, max(0, int(seconds + 0.999))),
        )
