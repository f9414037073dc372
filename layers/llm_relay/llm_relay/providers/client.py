"""Calls one provider: with a valid key, with retries, within the deadline."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar

from llm_relay.core.errors import DeadlineExceeded, ProviderError, RelayError, UpstreamUnreachable
from llm_relay.providers.key_pool import KeyPool, KeySelection
from llm_relay.providers.provider_error import read_error
from llm_relay.providers.rate_limit.headers import retry_after_seconds
from llm_relay.providers.rate_limit.tracker import RateLimitTracker
from llm_relay.transport.http_transport import HttpTransport

if TYPE_CHECKING:
    from llm_relay.core.deadline import Deadline
    from llm_relay.providers.settings import ProviderSettings
    from llm_relay.transport.http_transport import HttpReply, HttpRequest

FIRST_BACKOFF_SECONDS = 0.5
MAX_BACKOFF_SECONDS = 8.0
T = TypeVar("T")


@dataclass(slots=True)
class AttemptTracker:
    """Counts the attempts of a call and the time spent waiting for providers."""

    attempts: int = 0
    waiting_seconds: float = 0.0  # pauses between attempts included
    rate_limited: int = 0  # attempts refused with 429
    provider: str = ""  # the last one called
    key: str = field(default="", repr=False)  # the last one sent

    def timed(self, work: Callable[[], T]) -> T:
        """Do the work and count its time as waiting."""
        started = time.monotonic()
        try:
            return work()
        finally:
            self.waiting_seconds += time.monotonic() - started


class ProviderClient:
    """Calls one provider with its keys and retries."""

    def __init__(self, settings: ProviderSettings) -> None:
        self.rate_limits = RateLimitTracker()
        self._settings = settings
        self._transport = HttpTransport(settings.transport)
        self._keys = KeyPool(settings, self._transport.preconnect)

    def call(
        self, request: HttpRequest, deadline: Deadline, tracker: AttemptTracker, retry: bool = True
    ) -> HttpReply:
        """Return a 2xx reply, which the caller closes; RelayError if there is none.

        Without `retry`, each key is used once at most: another provider can be called.
        """
        tracker.provider = self._settings.name
        max_attempts = self._settings.max_attempts if retry else 0
        return tracker.timed(lambda: self._call(request, deadline, tracker, max_attempts))

    def _call(
        self, request: HttpRequest, deadline: Deadline, tracker: AttemptTracker, max_attempts: int
    ) -> HttpReply:
        keys, before = KeySelection(self._keys), tracker.attempts
        while True:
            failure: RelayError | None
            try:
                return self._attempt(request, keys.current, deadline, tracker)
            except ProviderError as error:
                tracker.rate_limited += error.status == HTTPStatus.TOO_MANY_REQUESTS
                is_last = 0 < max_attempts <= tracker.attempts - before
                failure = keys.on_error(error, is_last=is_last)
            except UpstreamUnreachable as unreachable:
                failure = unreachable
            if failure:
                self._pause(failure, tracker.attempts - before, max_attempts, deadline)

    def _attempt(
        self, request: HttpRequest, key: str, deadline: Deadline, tracker: AttemptTracker
    ) -> HttpReply:
        if not deadline.remaining():
            raise DeadlineExceeded("There was no time left to call the provider. Try again.")
        tracker.attempts += 1
        tracker.key = key
        limit = self.rate_limits.window(key, request.model)
        number = limit.count_request()
        reply = self._transport.send(request, key, deadline)
        limit.learn(number, reply.status, reply.headers)
        if HTTPStatus.OK <= reply.status < HTTPStatus.MULTIPLE_CHOICES:
            return reply
        with closing(reply):
            raise read_error(reply, key, deadline)

    def _pause(
        self, failure: RelayError, attempts: int, max_attempts: int, deadline: Deadline
    ) -> None:
        """Wait before the next attempt, or raise the failure if there is none."""
        headers = failure.headers()
        seconds = wait_seconds(attempts, headers)
        max_seconds = min(self._settings.max_wait_seconds, deadline.remaining())
        is_refused = headers.get("x-should-retry") == "false"
        if attempts >= max_attempts or seconds >= max_seconds or is_refused:
            raise failure
        time.sleep(seconds)


def wait_seconds(attempts: int, headers: Mapping[str, str]) -> float:
    """Return the pause after that many attempts: full jitter, but at least Retry-After."""
    ceiling = min(MAX_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2 ** (attempts - 1))
    jitter = random.uniform(0, ceiling)  # noqa: S311 - spreads callers, guards nothing
    return max(jitter, retry_after_seconds(headers) or 0.0)
