"""The jobs queue in SQS."""

from __future__ import annotations

import math
import os
from functools import lru_cache
from typing import Any

from llm_relay.aws.boto3_client import boto3_client
from llm_relay.core.json_codec import compact

# SQS hides a message for at most 12 h from its receipt.
_MAX_POSTPONE_SECONDS = 11 * 3600


@lru_cache(maxsize=1)
def sqs_client() -> Any:
    """Return the client of this environment, made on first use."""
    retries = {"mode": "standard", "total_max_attempts": 4}
    return boto3_client("sqs", connect_timeout=2, read_timeout=5, retries=retries)


def jobs_queue() -> JobsQueue | None:
    """Return the queue of this environment; None if it has none."""
    url = os.environ.get("JOBS_QUEUE_URL")
    return JobsQueue(url) if url else None


class JobsQueue:
    """One queue."""

    def __init__(self, url: str) -> None:
        self._url = url

    def send(self, document: dict[str, Any]) -> None:
        """Send a message."""
        body = compact(document).decode()
        sqs_client().send_message(QueueUrl=self._url, MessageBody=body)

    def postpone(self, receipt_handle: str, seconds: float) -> None:
        """Hide a received message for that many seconds, after which it is delivered again."""
        sqs_client().change_message_visibility(
            QueueUrl=self._url,
            ReceiptHandle=receipt_handle,
            VisibilityTimeout=min(_MAX_POSTPONE_SECONDS, max(0, math.ceil(seconds))),
        )
