"""Runs one job under a lease: call the provider, store the result, publish its event."""

from __future__ import annotations

import math
import random
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aws_lambda_powertools import Logger

from llm_relay.api.api_gateway import ApiRequest, handle_request
from llm_relay.api.relay import Relay
from llm_relay.core.error_log import log_internal_error
from llm_relay.core.http_status import is_retryable
from llm_relay.jobs import leases
from llm_relay.jobs.leases import CANCELLED, QUEUED, UNFINISHED, Record
from llm_relay.notifications.events import publish
from llm_relay.providers.rate_limit.headers import retry_after_seconds

if TYPE_CHECKING:
    from llm_relay.core.answer import HttpAnswer
    from llm_relay.core.client import Client
    from llm_relay.core.deadline import Deadline
    from llm_relay.jobs.job_types import Job
    from llm_relay.observability.call_record import CallRecord

ROUTE = "SQS job"
MAX_BACKOFF_SECONDS = 900.0
_FIRST_BACKOFF_SECONDS = 15.0
_MAX_DOUBLINGS = 10  # reach the maximum
_STORE_RETRY_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One delivery of one message."""

    expires_at: int  # when its lease does, in Unix seconds
    deadline: Deadline  # of the provider's answer
    number: int  # from 1
    is_final: bool  # a temporary failure ends the job
    holder: str = field(default_factory=lambda: secrets.token_hex(8))  # of the lease


class PostponeError(Exception):  # noqa: N818
    """The message has to be delivered again after some seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = max(0.0, seconds)


def run_job(job: Job, delivery: Delivery) -> None:
    """Run an unfinished job; PostponeError if it has to be delivered again."""
    is_acquired, record = leases.acquire(job.key, delivery.holder, delivery.expires_at, job.digest)
    if record is None or record.get("expires_at", math.inf) <= time.time():
        return
    if not is_acquired:
        _on_not_acquired(job, record)
        return
    stored = job.stored_status() if record["deliveries"] > 1 else None
    status = stored or _call_and_store(job, record, delivery)
    _, record = leases.set_status(job.key, delivery.holder, status)
    if record is None:
        job.delete_objects()
        return
    _publish_end(job, record["status"])


def backoff_seconds(deliveries: int) -> float:
    """Return the pause after that many deliveries: it doubles, with jitter."""
    doubled = _FIRST_BACKOFF_SECONDS * 2.0 ** min(deliveries - 1, _MAX_DOUBLINGS)
    jitter = random.uniform(0.5, 1)  # noqa: S311 - spreads callers, guards nothing
    return min(MAX_BACKOFF_SECONDS, doubled) * jitter


def is_temporary(answer: HttpAnswer) -> bool:
    """Tell whether an answer is a temporary failure that was not billed."""
    return is_retryable(answer.status) and answer.headers.get("x-should-retry") != "false"


def _call_and_store(job: Job, record: Record, delivery: Delivery) -> str:
    answer = _call(job, job.client(record), delivery.deadline)
    if is_temporary(answer) and not delivery.is_final:
        leases.set_status(job.key, delivery.holder, QUEUED)
        retry_after = retry_after_seconds(answer.headers) or 0.0
        raise PostponeError(max(retry_after, backoff_seconds(delivery.number)))
    # Retried until the deadline: without its result the call would be billed again.
    while delivery.deadline.remaining():
        try:
            return job.store(answer)
        except Exception as error:  # noqa: BLE001 - any failure may be temporary
            log_internal_error(error, job.id)
        time.sleep(_STORE_RETRY_SECONDS)
    return job.store(answer)


def _call(job: Job, client: Client, deadline: Deadline) -> HttpAnswer:
    def work(call: CallRecord) -> HttpAnswer:
        endpoint, text = job.request()
        return Relay(endpoint, call, deadline, client).answer(text)

    request = ApiRequest(route=ROUTE, request_id=job.id, api_key_id=client.key_id)
    return handle_request(request, work)


def _on_not_acquired(job: Job, record: Record) -> None:
    """Postpone a job that another delivery runs; publish the end of a finished one."""
    if job.digest is not None and record["digest"] != job.digest:
        # Postponed until it is in the dead-letter queue; dropped as a duplicate it would be lost.
        Logger().warning("a job's id was used before with other content", extra={"job": job.id})
        raise PostponeError(0)
    status = record["status"]
    if status in UNFINISHED:
        raise PostponeError(record["until"] + 1 - time.time())
    _publish_end(job, status)  # the delivery that finished it may have failed to


def _publish_end(job: Job, status: str) -> None:
    if status == CANCELLED:  # an answer may have been stored nevertheless
        job.discard_answer()
    if status not in UNFINISHED:  # or else another delivery has taken over
        publish(f"{job.kind}.{status}", job.id, job.event_data())
