"""What the provider lists of its models, kept for a while."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from llm_relay.core.defaults import objects_in
from llm_relay.core.errors import RelayError, UpstreamFailed
from llm_relay.core.http_status import is_retryable
from llm_relay.core.json_codec import parse_object
from llm_relay.providers.client import AttemptTracker
from llm_relay.transport.http_transport import HttpRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from llm_relay.core.deadline import Deadline
    from llm_relay.providers.client import ProviderClient

FRESH_SECONDS = 60.0  # for a caller who asks for the list, or for a model that is not in it
KNOWN_SECONDS = 600.0  # for limits and prices, which hold for longer
RETRY_SECONDS = 60.0  # for a provider that has no list, which calls do without

Listing = dict[str, Any]


class ModelCatalog:
    """The provider's list of models; one per environment."""

    def __init__(self, provider: ProviderClient, now: Callable[[], float] = time.monotonic) -> None:
        self._provider = provider
        self._now = now
        self._listing: Listing = {"data": []}
        self._fetched_at = float("-inf")
        self._failed_at = float("-inf")
        self._failure: RelayError | None = None

    @property
    def is_away(self) -> bool:
        """Whether there is no list for now, from a provider that may well have one."""
        return self._failure is not None and is_retryable(self._failure.status)

    def listing(self, deadline: Deadline, effort: AttemptTracker, *, waits: bool = True) -> Listing:
        """Return the list, at most a minute old; a RelayError if the provider has none."""
        if self._age() > FRESH_SECONDS:
            self._fetch(deadline, effort, waits=waits)
        return self._listing

    def entry(
        self, model: str, deadline: Deadline, retry_seconds: float = RETRY_SECONDS
    ) -> Listing | None:
        """Return what is known of a model, however old while there is no newer list."""
        age = self._age()
        is_old = age > KNOWN_SECONDS or (age > FRESH_SECONDS and not self._known(model))
        if is_old and self._now() - self._failed_at > retry_seconds:
            with suppress(RelayError):
                self._fetch(deadline, AttemptTracker())
        return self._known(model)

    def _known(self, model: str) -> Listing | None:
        entries = objects_in(self._listing, "data")
        return next((entry for entry in entries if entry.get("id") == model), None)

    def _age(self) -> float:
        return self._now() - self._fetched_at

    def _fetch(self, deadline: Deadline, effort: AttemptTracker, *, waits: bool = True) -> None:
        try:
            self._listing = self._asked(deadline, effort, waits=waits)
        except RelayError as failure:
            self._failure, self._failed_at = failure, self._now()
            raise
        self._failure, self._fetched_at = None, self._now()

    def _asked(self, deadline: Deadline, effort: AttemptTracker, *, waits: bool) -> Listing:
        request = HttpRequest(method="GET", path="/models")
        reply = self._provider.call(request, deadline, effort, waits=waits)
        try:
            text = effort.waiting_for(lambda: reply.read_all(deadline))
        finally:
            reply.close()
        listing = parse_object(text) or {}
        if not isinstance(listing.get("data"), list):
            raise UpstreamFailed("The provider's list of models is not one.")
        return {"object": "list"} | listing
