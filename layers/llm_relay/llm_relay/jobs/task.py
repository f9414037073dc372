"""One job from its message to its end: leased, asked, put down, told; twice is harmless."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from aws_lambda_powertools import Logger

from llm_relay.core.error_log import log_internal_error
from llm_relay.core.http_status import is_retryable
from llm_relay.jobs.leases import CANCELLED, QUEUED, UNENDED, Holder, leases, number_of, text_of
from llm_relay.notifications.event_bridge import publish
from llm_relay.providers.retry_policy import retry_after_seconds

if TYPE_CHECKING:
    from llm_relay.aws.dynamodb import Item
    from llm_relay.core.answer import HttpAnswer
    from llm_relay.core.deadline import Deadline

ROUTE = "SQS job"
FIRST_PAUSE_SECONDS = 15.0
LONGEST_PAUSE_SECONDS = 900.0
_DOUBLINGS = 10  # are enough for the longest
_KEEP_PAUSE_SECONDS = 1.0


class Task(Protocol):
    """What differs between a job of the operator's and a background response."""

    kind: str  # what its events are named after: "job" or "response"
    id: str
    key: Item  # of its lease
    digest: str | None  # of what is to be done, where the message itself says it
    ends_at_last: bool  # whether a failure that might pass ends it when there is no more delivery

    def answer(self, item: Item, deadline: Deadline) -> HttpAnswer:
        """Ask the provider; return its answer or refusal."""

    def kept(self) -> str | None:
        """Return the state of a result that an invocation put down before it died."""

    def keep(self, answer: HttpAnswer) -> str:
        """Put the result down; return the state that it ends the job in."""

    def drop(self) -> None:
        """Leave nothing of the answer to a job that was cancelled in the meantime."""

    def forget(self) -> None:
        """Leave nothing of a job that was deleted in the meantime."""

    def news(self) -> dict[str, Any]:
        """Return what an event tells besides the id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One delivery of one message."""

    holder: Holder
    deadline: Deadline  # for the provider's answer
    number: int  # counted from 1
    is_last: bool  # before the message goes to the dead-letter queue


class PostponeError(Exception):  # noqa: N818 - says what becomes of the message
    """The message is to come again, in so many seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = max(0.0, seconds)


def run_task(task: Task, delivery: Delivery) -> None:
    """Bring a job to its end, unless it has one; Postponed if it is to be tried again."""
    is_ours, item = leases().take(task.key, delivery.holder, task.digest)
    if item is None or _is_over(item):
        return
    if not is_ours:
        _see_to_it_that_it_ends(task, item)
        return
    came_before = number_of(item, "deliveries") > 1
    status = (task.kept() if came_before else None) or _result(task, item, delivery)
    is_ended, item = leases().end(task.key, delivery.holder, status)
    if item is None:
        task.forget()
        return
    _tell(task, status if is_ended else text_of(item, "status"))


def pause_seconds(deliveries: int) -> float:
    """Return how long to wait after that many deliveries: longer each time, and spread out."""
    longest = min(
        LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(deliveries - 1, _DOUBLINGS)
    )
    return longest * random.uniform(0.5, 1)  # noqa: S311 - spreads callers, guards nothing


def may_pass(answer: HttpAnswer) -> bool:
    """Tell whether an answer is a failure that may pass, and that nobody has paid for."""
    return is_retryable(answer.status) and answer.headers.get("x-should-retry") != "false"


def _result(task: Task, item: Item, delivery: Delivery) -> str:
    answer = task.answer(item, delivery.deadline)
    if may_pass(answer) and not (task.ends_at_last and delivery.is_last):
        leases().end(task.key, delivery.holder, QUEUED)
        wished = retry_after_seconds(answer.headers) or 0.0
        raise PostponeError(max(wished, pause_seconds(delivery.number)))
    return _kept(task, answer, delivery.deadline)


def _kept(task: Task, answer: HttpAnswer, deadline: Deadline) -> str:
    """Put the result down, however often it takes: without it the call would be paid for twice."""
    while deadline.remaining():
        try:
            return task.keep(answer)
        except Exception as error:  # noqa: BLE001 - whatever the reason, it may pass
            log_internal_error(error, task.id)
        time.sleep(_KEEP_PAUSE_SECONDS)
    return task.keep(answer)


def _see_to_it_that_it_ends(task: Task, item: Item) -> None:
    """Come again if another invocation is at it; if that has ended, it may not have told so."""
    if task.digest is not None and text_of(item, "digest") != task.digest:
        # In the dead-letter queue somebody finds it; as a duplicate it would just be gone.
        _logger().warning("a job's id came before with another question", extra={"job": task.id})
        raise PostponeError(0)
    status = text_of(item, "status")
    if status in UNENDED:
        raise PostponeError(number_of(item, "until") + 1 - time.time())
    _tell(task, status)


def _tell(task: Task, status: str) -> None:
    if status == CANCELLED:  # and an answer may have been put down all the same
        task.drop()
    if status not in UNENDED:  # else another invocation has taken over, and will tell
        publish(f"{task.kind}.{status}", task.id, task.news())


def _is_over(item: Item) -> bool:
    return 0 < number_of(item, "expires_at") <= time.time()


@lru_cache(maxsize=1)
def _logger() -> Logger:
    return Logger()
