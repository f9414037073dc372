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


def queue_url() -> str | None:
    """Return the queue of this environment; None if it has none."""
    return os.environ.get("JOBS_QUEUE_URL") or None


def send_message(url: str, document: dict[str, Any]) -> None:
    """Send a document as a message."""
    sqs_client().send_message(QueueUrl=url, MessageBody=compact(document).decode())


def postpone_message(url: str, receipt_handle: str, seconds: float) -> None:
    """Hide a received message for that many seconds, after which it is delivered again."""
    timeout = min(_MAX_POSTPONE_SECONDS, max(0, math.ceil(seconds)))
    sqs_client().change_message_visibility(
        QueueUrl=url, ReceiptHandle=receipt_handle, VisibilityTimeout=timeout
    )
