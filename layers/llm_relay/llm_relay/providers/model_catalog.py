"""The provider's list of models, cached."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

from llm_relay.core.defaults import objects_in
from llm_relay.core.errors import RelayError, UpstreamFailed
from llm_relay.core.http_status import is_retryable
from llm_relay.core.json_codec import parse_object
from llm_relay.providers.client import AttemptTracker, ProviderClient
from llm_relay.transport.http_transport import HttpRequest

if TYPE_CHECKING:
    from llm_relay.core.deadline import Deadline

LISTING_SECONDS = 60.0  # maximum age of a list for a caller, or for a model that it lacks
ENTRY_SECONDS = 600.0  # maximum age of an entry's limits and prices, which seldom change
RETRY_SECONDS = 60.0  # after a failure, which calls do not depend on

Document = dict[str, Any]


class ModelCatalog:
    """The provider's list of models; one per environment."""

    def __init__(self, client: ProviderClient, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._listing: Document = {"data": []}
        self._fetched_at = float("-inf")
        self._failed_at = float("-inf")
        self._failure: RelayError | None = None

    @property
    def is_unavailable(self) -> bool:
        """Whether the last attempt to get the list failed with an error that may pass."""
        return self._failure is not None and is_retryable(self._failure.status)

    def listing(
        self, deadline: Deadline, tracker: AttemptTracker, *, retry: bool = True
    ) -> Document:
        """Return the list, at most a minute old; RelayError if the provider has none."""
        if self._age() > LISTING_SECONDS:
            self._fetch(deadline, tracker, retry=retry)
        return self._listing

    def entry(
        self, model: str, deadline: Deadline, retry_seconds: float = RETRY_SECONDS
    ) -> Document | None:
        """Return a model's entry, an old one while no newer list is available."""
        age, entry = self._age(), self._find(model)
        is_old = age > ENTRY_SECONDS or (age > LISTING_SECONDS and not entry)
        if is_old and self._clock() - self._failed_at > retry_seconds:
            with suppress(RelayError):
                self._fetch(deadline, AttemptTracker())
        return self._find(model)

    def _find(self, model: str) -> Document | None:
        entries = objects_in(self._listing, "data")
        return next((entry for entry in entries if entry.get("id") == model), None)

    def _age(self) -> float:
        return self._clock() - self._fetched_at

    def _fetch(self, deadline: Deadline, tracker: AttemptTracker, *, retry: bool = True) -> None:
        request = HttpRequest(method="GET", path="/models")
        try:
            with closing(self._client.call(request, deadline, tracker, retry=retry)) as reply:
                listing = parse_object(tracker.timed(lambda: reply.read_all(deadline))) or {}
            if not isinstance(listing.get("data"), list):
                raise UpstreamFailed("The provider's list of models is invalid.")
        except RelayError as failure:
            self._failure, self._failed_at = failure, self._clock()
            raise
        self._listing = {"object": "list"} | listing
        self._failure, self._fetched_at = None, self._clock()
