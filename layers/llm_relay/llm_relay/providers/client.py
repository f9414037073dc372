"""Calls the provider: with the right key, as often as it helps, as long as there is time."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar

from llm_relay.core.answer import safe_header_value
from llm_relay.core.errors import (
    DeadlineExceeded,
    ProviderRefused,
    RelayError,
    UpstreamFailed,
    UpstreamUnreachable,
)
from llm_relay.core.json_codec import parse_object
from llm_relay.providers.error_hints import with_hint
from llm_relay.providers.key_pool import KeySelection
from llm_relay.providers.rate_limit.tracker import RateLimitTracker
from llm_relay.providers.redaction import redacted
from llm_relay.providers.retry_policy import wait_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from llm_relay.core.deadline import Deadline
    from llm_relay.providers.key_pool import ProviderKeys
    from llm_relay.providers.settings import ProviderSettings
    from llm_relay.transport.http_transport import HttpReply, HttpRequest, HttpTransport

T = TypeVar("T")

_LONGEST_ERROR_BYTES = 65536
_ERROR_SECONDS = 5.0  # for the body of a refusal
_STATUS_END = 600
_FORWARDED = {"retry-after", "retry-after-ms", "x-should-retry"}


@dataclass(slots=True)
class AttemptTracker:
    """What a call has taken so far."""

    attempts: int = 0
    waiting_seconds: float = 0.0  # for the provider, pauses between attempts included
    limited: int = 0  # attempts that were refused with 429
    provider: str = ""  # the one that was asked last
    key: str = field(default="", repr=False)  # the last that was sent

    def begin(self, key: str) -> None:
        """Note one more attempt."""
        self.attempts += 1
        self.key = key

    def waiting_for(self, work: Callable[[], T]) -> T:
        """Do the work and count its time as waiting."""
        started = time.monotonic()
        try:
            return work()
        finally:
            self.waiting_seconds += time.monotonic() - started


class ProviderClient:
    """The provider, its key and our patience with it."""

    def __init__(
        self, transport: HttpTransport, key: ProviderKeys, name: str, settings: ProviderSettings
    ) -> None:
        self.name = name
        self.settings = settings
        self.rate_limits = RateLimitTracker()
        self._transport = transport
        self._key = key

    def call(
        self,
        request: HttpRequest,
        deadline: Deadline,
        effort: AttemptTracker,
        *,
        waits: bool = True,
    ) -> HttpReply:
        """Return a 2xx reply, which the caller closes; a RelayError if there is none.

        Without `waits`, each key is asked once at most: there is another provider to ask.
        """
        effort.provider = self.name
        most = self.settings.max_attempts if waits else 0
        turn = KeySelection(self._key)
        return effort.waiting_for(lambda: self._persist(request, turn, deadline, effort, most))

    def _persist(
        self,
        request: HttpRequest,
        turn: KeySelection,
        deadline: Deadline,
        effort: AttemptTracker,
        most: int,
    ) -> HttpReply:
        failure: RelayError | None
        before = effort.attempts
        while True:
            try:
                return self._attempt(request, turn.key, deadline, effort)
            except ProviderRefused as refusal:
                effort.limited += refusal.status == HTTPStatus.TOO_MANY_REQUESTS
                is_last = 0 < most <= effort.attempts - before
                failure = turn.after(refusal, is_last=is_last)
            except UpstreamUnreachable as unreachable:
                failure = unreachable
            if failure:
                self._pause(failure, effort.attempts - before, most, deadline)

    def _attempt(
        self, request: HttpRequest, key: str, deadline: Deadline, effort: AttemptTracker
    ) -> HttpReply:
        if not deadline.remaining():
            raise DeadlineExceeded("There was no time left to ask the provider. Try again.")
        effort.begin(key)
        limit = self.rate_limits.window(key, request.model)
        number = limit.count_request()
        reply = self._transport.send(request, key, deadline)
        limit.learn(number, reply.status, reply.headers)
        if HTTPStatus.OK <= reply.status < HTTPStatus.MULTIPLE_CHOICES:
            return reply
        try:
            raise _refusal(reply, key, deadline)
        finally:
            reply.close()

    def _pause(self, failure: RelayError, tried: int, most: int, deadline: Deadline) -> None:
        """Wait before the next attempt, or raise the failure if there is to be none."""
        headers = failure.headers()
        seconds = wait_seconds(tried, headers)
        longest = min(self.settings.max_wait_seconds, deadline.remaining())
        if tried >= most or seconds >= longest or headers.get("x-should-retry") == "false":
            raise failure
        time.sleep(seconds)


def forwarded_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the provider's headers that are the caller's business."""
    names = ((name.lower(), value) for name, value in headers.items())
    return {
        name: safe_header_value(value)
        for name, value in names
        if name in _FORWARDED or name.startswith("x-ratelimit-")
    }


def _refusal(reply: HttpReply, key: str, deadline: Deadline) -> RelayError:
    """Return the provider's error as it is, or a readable one in its place."""
    if not HTTPStatus.BAD_REQUEST <= reply.status < _STATUS_END:
        return UpstreamFailed(
            f"The provider answered with status {reply.status}, which is no answer. Check the "
            "base URL."
        )
    try:
        text = reply.read_all(deadline.within(_ERROR_SECONDS), _LONGEST_ERROR_BYTES)
    except RelayError:
        text = b""  # the status tells enough
    error = error_object_in(text) or {
        "message": f"The provider answered {reply.status} without saying why.",
    }
    error = redacted(error, key)
    return provider_refusal(
        reply.status, error, forwarded_headers(reply.headers) | provider_request_id(reply)
    )


def provider_refusal(
    status: int, error: dict[str, Any], headers: Mapping[str, str]
) -> ProviderRefused:
    """Return the provider's error in OpenAI's shape, with a word on what to do about it."""
    shape = {"type": "provider_error", "param": None, "code": None}
    message = error.get("message")
    text = message if isinstance(message, str) and message else "The provider failed."
    if status == HTTPStatus.PAYMENT_REQUIRED:
        headers = {**headers, "x-should-retry": "false"}
    told = {"message": with_hint(status, text, error.get("code"))}
    return ProviderRefused(status, shape | error | told, headers)


def provider_request_id(reply: HttpReply) -> dict[str, str]:
    """Return the header that names the provider's own id of a request, if it has one."""
    request_id = reply.headers.get("x-request-id")
    return {"x-upstream-request-id": safe_header_value(request_id)} if request_id else {}


def error_object_in(body: bytes) -> dict[str, Any] | None:
    """Find OpenAI's error object in a body, or make one of {"detail"} and the like."""
    document = parse_object(body) or {}
    error = document.get("error") or document.get("detail") or document.get("message")
    if isinstance(error, dict):
        return error if isinstance(error.get("message"), str) else None
    return {"message": error if isinstance(error, str) else json.dumps(error)} if error else None
