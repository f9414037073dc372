"""The jobs queue in SQS."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any

from llm_relay.aws.boto3_client import boto3_client


@lru_cache(maxsize=1)
def sqs_client() -> Any:
    """Return the client of this environment, made on first use."""
    retries = {"mode": "standard", "total_max_attempts": 4}
    return boto3_client("sqs", connect_timeout=2, read_timeout=5, retries=retries)


def queue_url() -> str | None:
    """Return the queue of this environment; None if it has none."""
    return os.environ.get("JOBS_QUEUE_URL") or None
