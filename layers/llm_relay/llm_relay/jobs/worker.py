"""Works off the messages of the jobs queue, those of one invocation side by side."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

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
from llm_relay.jobs.leases import Holder
from llm_relay.jobs.queue import jobs_queue, sqs
from llm_relay.jobs.response_task import ResponseTask
from llm_relay.jobs.single_job import SingleJob, message_in
from llm_relay.jobs.task import Delivery, PostponeError, Task, pause_seconds, run_task
from llm_relay.notifications.event_bridge import event_bridge_client

if TYPE_CHECKING:
    from collections.abc import Callable

# Kept back from the function's own time, to put results down.
RESULT_SECONDS = 30.0
_MOST_DELIVERIES = "10"


class RetryMessage(Exception):  # noqa: N818 - it says what becomes of the message
    """The message is not done with."""


def process_messages(event: dict[str, Any], context: Any) -> Any:
    """Carry out the jobs of an SQS event; return the messages that are to come again."""
    seconds = context.get_remaining_time_in_millis() / 1000
    _make_clients()
    with ThreadPoolExecutor(max_workers=max(1, len(event["Records"]))) as pool:
        running = {
            record["messageId"]: pool.submit(_work, SQSRecord(record), seconds)
            for record in event["Records"]
        }
        return process_partial_response(
            event=event,
            record_handler=lambda record: running[record.message_id].result(),
            processor=BatchProcessor(EventType.SQS, raise_on_entire_batch_failure=False),
            context=context,
        )


def _make_clients() -> None:
    """Make what the threads share: the first clients of boto3 cannot be made side by side."""
    shared: tuple[Callable[[], Any], ...] = (dynamodb, s3, sqs, event_bridge_client)
    for make in shared:
        make()
    with suppress(InternalError):  # each message meets it again
        provider_router()


def _work(record: SQSRecord, seconds: float) -> None:
    number = int(record.attributes.approximate_receive_count or 1)
    most = int(os.environ.get("JOBS_MOST_DELIVERIES") or _MOST_DELIVERIES)
    try:
        delivery = Delivery(
            holder=Holder(until=int(time.time() + seconds) + 1),
            deadline=Deadline.after(seconds - RESULT_SECONDS),
            number=number,
            is_last=number >= most,
        )
        task = _task_in(record)
        if not (task.ends_at_last and delivery.is_last):
            provider_router()  # while the settings are wrong, nothing fails for good
        run_task(task, delivery)
    except PostponeError as postponed:
        _postpone(record, postponed.seconds)
    except Exception as error:  # noqa: BLE001 - a message may quote what came in
        log_internal_error(error, record.message_id)
        _postpone(record, pause_seconds(number))


def _task_in(record: SQSRecord) -> Task:
    bucket = Bucket(os.environ["BATCH_BUCKET"])
    message = message_in(record.body)
    if isinstance(message, dict) and message.keys() == {"owner", "response"}:
        return ResponseTask(str(message["owner"]), str(message["response"]), bucket)
    return SingleJob(message, record.message_id, bucket)


def _postpone(record: SQSRecord, seconds: float) -> None:
    queue = jobs_queue()
    if queue:
        queue.postpone(record.receipt_handle, seconds)
    raise RetryMessage
