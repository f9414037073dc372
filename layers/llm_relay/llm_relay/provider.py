"""Calls the provider: with the right key, as often as it helps, as long as there is time."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar

from llm_relay.advice import advised
from llm_relay.documents import parse_object
from llm_relay.errors import ProviderRefused, RelayError, UpstreamBroke, UpstreamUnreachable
from llm_relay.patience import wait_seconds
from llm_relay.provider_key import Turn
from llm_relay.redaction import redacted
from llm_relay.upstream import too_slow

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from llm_relay.deadline import Deadline
    from llm_relay.provider_key import ProviderKey
    from llm_relay.upstream import Reply, Upstream, UpstreamRequest

T = TypeVar("T")

_LONGEST_ERROR_BYTES = 65536
_ERROR_SECONDS = 5.0  # for the body of a refusal
_STATUS_END = 600
_FORWARDED = {"retry-after", "retry-after-ms", "x-should-retry"}


@dataclass(slots=True)
class Effort:
    """What a call has taken so far."""

    attempts: int = 0
    waiting_seconds: float = 0.0  # for the provider, pauses between attempts included
    limited: int = 0  # attempts that were refused with 429
    key: str = field(default="", repr=False)  # the last that was sent

    def waiting_for(self, work: Callable[[], T]) -> T:
        """Do the work and count its time as waiting."""
        started = time.monotonic()
        try:
            return work()
        finally:
            self.waiting_seconds += time.monotonic() - started


class Provider:
    """The provider, its key and our patience with it."""

    def __init__(self, upstream: Upstream, key: ProviderKey) -> None:
        self.settings = upstream.settings
        self._upstream = upstream
        self._key = key

    def call(self, request: UpstreamRequest, deadline: Deadline, effort: Effort) -> Reply:
        """Return a 2xx reply, which the caller closes; a RelayError if there is none."""
        turn = Turn(self._key)
        return effort.waiting_for(lambda: self._persist(request, turn, deadline, effort))

    def _persist(
        self, request: UpstreamRequest, turn: Turn, deadline: Deadline, effort: Effort
    ) -> Reply:
        failure: RelayError | None
        while True:
            try:
                return self._attempt(request, turn.key, deadline, effort)
            except ProviderRefused as refusal:
                effort.limited += refusal.status == HTTPStatus.TOO_MANY_REQUESTS
                failure = turn.after(refusal, is_last=self._is_last(effort))
            except UpstreamUnreachable as unreachable:
                failure = unreachable
            if failure:
                self._pause(failure, deadline, effort)

    def _attempt(
        self, request: UpstreamRequest, key: str, deadline: Deadline, effort: Effort
    ) -> Reply:
        if not deadline.remaining():
            raise too_slow()
        effort.attempts += 1
        effort.key = key
        reply = self._upstream.send(request, key, deadline)
        if HTTPStatus.OK <= reply.status < HTTPStatus.MULTIPLE_CHOICES:
            return reply
        try:
            raise _refusal(reply, key, deadline)
        finally:
            reply.close()

    def _is_last(self, effort: Effort) -> bool:
        return effort.attempts >= self.settings.max_attempts

    def _pause(self, failure: RelayError, deadline: Deadline, effort: Effort) -> None:
        """Wait before the next attempt, or raise the failure if there is to be none."""
        headers = failure.headers()
        seconds = wait_seconds(effort.attempts, headers)
        longest = min(self.settings.longest_wait_seconds, deadline.remaining())
        is_last = self._is_last(effort)
        if is_last or seconds >= longest or headers.get("x-should-retry") == "false":
            raise failure
        time.sleep(seconds)


def forwarded(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the provider's headers that are the caller's business."""
    names = ((name.lower(), value) for name, value in headers.items())
    return {n: v for n, v in names if n in _FORWARDED or n.startswith("x-ratelimit-")}


def _refusal(reply: Reply, key: str, deadline: Deadline) -> RelayError:
    """Return the provider's error as it is, or a readable one in its place."""
    if not HTTPStatus.BAD_REQUEST <= reply.status < _STATUS_END:
        return UpstreamBroke(
            f"The provider answered with status {reply.status}, which is no answer. Check the "
            "base URL."
        )
    try:
        text = reply.whole(deadline.within(_ERROR_SECONDS), _LONGEST_ERROR_BYTES)
    except RelayError:
        text = b""  # the status tells enough
    error = error_in(text) or {
        "message": f"The provider answered {reply.status} without saying why.",
    }
    error = redacted(error, key)
    return refused(reply.status, error, forwarded(reply.headers) | provider_request_id(reply))


def refused(status: int, error: dict[str, Any], headers: Mapping[str, str]) -> ProviderRefused:
    """Return the provider's error in OpenAI's shape, with a word on what to do about it."""
    shape = {"type": "provider_error", "param": None, "code": None}
    message = error.get("message")
    text = message if isinstance(message, str) and message else "The provider failed."
    if status == HTTPStatus.PAYMENT_REQUIRED:
        headers = {**headers, "x-should-retry": "false"}
    told = {"message": advised(status, text, error.get("code"))}
    return ProviderRefused(status, shape | error | told, headers)


def provider_request_id(reply: Reply) -> dict[str, str]:
    """Return the header that names the provider's own id of a request, if it has one."""
    request_id = reply.headers.get("x-request-id")
    return {"x-upstream-request-id": request_id} if request_id else {}


def error_in(body: bytes) -> dict[str, Any] | None:
    """Find OpenAI's error object in a body, or make one of {"detail"} and the like."""
    document = parse_object(body) or {}
    error = document.get("error") or document.get("detail") or document.get("message")
    if isinstance(error, dict):
        return error if isinstance(error.get("message"), str) else None
    return {"message": error if isinstance(error, str) else json.dumps(error)} if error else None
