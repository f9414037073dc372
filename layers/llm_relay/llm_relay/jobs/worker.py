"""Runs the jobs of an SQS event, all at the same time."""

from __future__ import annotations

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
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from llm_relay.api.relay import provider_router
from llm_relay.aws.dynamodb import dynamodb
from llm_relay.aws.s3 import Bucket, s3
from llm_relay.core.deadline import Deadline
from llm_relay.core.error_log import log_internal_error
from llm_relay.core.errors import InternalError
from llm_relay.jobs.job import Delivery, Job, PostponeError, backoff_seconds, run_job
from llm_relay.jobs.queue import postpone_message, queue_url, sqs_client
from llm_relay.jobs.queue_job import QueueJob, parse_message
from llm_relay.jobs.response_job import ResponseJob
from llm_relay.notifications.event_bridge import event_bridge_client

STORE_RESERVE_SECONDS = 30.0  # of the function's time, to store results
_DEFAULT_MAX_DELIVERIES = "10"


def process_messages(event: dict[str, Any], context: Any) -> Any:
    """Run the jobs of an SQS event; return the messages to deliver again."""
    seconds = context.get_remaining_time_in_millis() / 1000
    _prepare_clients()
    with ThreadPoolExecutor(max_workers=max(1, len(event["Records"]))) as pool:
        running = {
            record["messageId"]: pool.submit(_process, SQSRecord(record), seconds)
            for record in event["Records"]
        }
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


def _process(record: SQSRecord, seconds: float) -> None:
    number = int(record.attributes.approximate_receive_count or 1)
    max_deliveries = int(os.environ.get("JOBS_MAX_DELIVERIES") or _DEFAULT_MAX_DELIVERIES)
    try:
        delivery = Delivery(
            expires_at=int(time.time() + seconds) + 1,
            deadline=Deadline.after(seconds - STORE_RESERVE_SECONDS),
            number=number,
            is_last=number >= max_deliveries,
        )
        job = _job_of(record)
        if not (job.fails_at_last_delivery and delivery.is_last):
            provider_router()  # raises, so that no job fails for good while settings are wrong
        run_job(job, delivery)
        return
    except PostponeError as error:
        postponed = error
    except Exception as error:  # noqa: BLE001 - its message may contain the request
        log_internal_error(error, record.message_id)
        postponed = PostponeError(backoff_seconds(number))
    if url := queue_url():
        postpone_message(url, record.receipt_handle, postponed.seconds)
    raise postponed


def _job_of(record: SQSRecord) -> Job:
    message = parse_message(record.body)
    if isinstance(message, dict) and message.keys() == {"owner", "response"}:
        return ResponseJob(str(message["owner"]), str(message["response"]))
    return QueueJob(message, record.message_id, Bucket(os.environ["BATCH_BUCKET"]))
