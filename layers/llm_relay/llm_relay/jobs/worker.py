"""Runs the jobs of an SQS event, all at the same time."""

from __future__ import annotations

import math
import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)

from llm_relay.api.relay import provider_router
from llm_relay.aws.dynamodb import dynamodb
from llm_relay.aws.s3 import Bucket, s3
from llm_relay.core.deadline import Deadline
from llm_relay.core.error_log import log_internal_error
from llm_relay.core.errors import InternalError
from llm_relay.core.json_codec import parse
from llm_relay.jobs.job import Delivery, PostponeError, backoff_seconds, run_job
from llm_relay.jobs.job_types import Job, QueueJob, ResponseJob
from llm_relay.jobs.queue import queue_url, sqs_client
from llm_relay.notifications.events import event_bridge_client

STORE_RESERVE_SECONDS = 30.0  # of the function's time, to store results
_DEFAULT_MAX_DELIVERIES = "10"
_MAX_POSTPONE_SECONDS = 11 * 3600  # SQS hides a message for at most 12 h from its receipt


def process_messages(event: dict[str, Any], context: Any) -> Any:
    """Run the jobs of an SQS event; return the messages to deliver again."""
    seconds, records = context.get_remaining_time_in_millis() / 1000, event["Records"]
    _prepare_clients()
    with ThreadPoolExecutor(max_workers=max(1, len(records))) as pool:
        running = {each["messageId"]: pool.submit(_process, each, seconds) for each in records}
        return process_partial_response(
            event=event,
            record_handler=lambda record: running[record.message_id].result(),
            processor=BatchProcessor(EventType.SQS, raise_on_entire_batch_failure=False),
            context=context,
        )


def _prepare_clients() -> None:
    """Make what the threads share: boto3's first clients cannot be made at the same time."""
    for make_client in (dynamodb, s3, sqs_client, event_bridge_client):
        make_client()
    with suppress(InternalError):  # reported for each message
        provider_router()


def _process(record: dict[str, Any], seconds: float) -> None:
    """Run the job of a message; PostponeError if it has to be delivered again."""
    number = int(record["attributes"].get("ApproximateReceiveCount") or 1)
    max_deliveries = int(os.environ.get("JOBS_MAX_DELIVERIES") or _DEFAULT_MAX_DELIVERIES)
    try:
        job = _job_of(record)
        delivery = Delivery(
            expires_at=int(time.time() + seconds) + 1,
            deadline=Deadline.after(seconds - STORE_RESERVE_SECONDS),
            number=number,
            is_final=job.fails_at_last_delivery and number >= max_deliveries,
        )
        if not delivery.is_final:
            provider_router()  # raises, so that no job fails for good while settings are wrong
        run_job(job, delivery)
        return
    except PostponeError as error:
        postponed = error
    except Exception as error:  # noqa: BLE001 - its message may contain the request
        log_internal_error(error, record["messageId"])
        postponed = PostponeError(backoff_seconds(number))
    _postpone(record, postponed.seconds)
    raise postponed


def _postpone(record: dict[str, Any], seconds: float) -> None:
    """Hide a message for some seconds; if that fails, for the queue's visibility timeout."""
    timeout = min(_MAX_POSTPONE_SECONDS, math.ceil(seconds))
    try:
        if url := queue_url():
            sqs_client().change_message_visibility(
                QueueUrl=url, ReceiptHandle=record["receiptHandle"], VisibilityTimeout=timeout
            )
    except Exception as error:  # noqa: BLE001 - raised, it would deliver all messages again
        log_internal_error(error, record["messageId"])


def _job_of(record: dict[str, Any]) -> Job:
    message: Any = None
    with suppress(ValueError):  # reported in the result of the job
        message = parse(record["body"])
    if isinstance(message, dict) and message.keys() == {"owner", "response"}:
        return ResponseJob(str(message["owner"]), str(message["response"]))
    return QueueJob(message, record["messageId"], Bucket(os.environ["BATCH_BUCKET"]))
