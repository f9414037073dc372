"""One provider: its list of models, their names here, and requests in its dialect."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing, suppress
from typing import TYPE_CHECKING

from llm_relay.core.defaults import Document, objects_in
from llm_relay.core.errors import PricesUnavailable, RelayError, UpstreamFailed
from llm_relay.core.http_status import is_retryable
from llm_relay.core.json_codec import compact, parse_object
from llm_relay.providers.client import AttemptTracker, ProviderClient
from llm_relay.providers.dialects.translation import Translation
from llm_relay.transport.http_transport import HttpRequest

if TYPE_CHECKING:
    from llm_relay.core.deadline import Deadline
    from llm_relay.providers.settings import ProviderSettings

LISTING_SECONDS = 60.0  # maximum age of a list for a caller, or for a model that it lacks
ENTRY_SECONDS = 600.0  # maximum age of an entry's limits and prices, which seldom change
RETRY_SECONDS = 60.0  # pause after a failed fetch; most calls go on without the list


class ModelCatalog:
    """A provider's list of models, cached; one per environment."""

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

    def listing(self, deadline: Deadline, tracker: AttemptTracker, retry: bool = True) -> Document:
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


class Provider:
    """A provider, with the names that its models have here: the provider's own, unless mapped."""

    def __init__(self, settings: ProviderSettings) -> None:
        self.settings = settings
        self.name = settings.name
        self.dialect = settings.dialect
        self.client = ProviderClient(settings)
        self.catalog = ModelCatalog(self.client)
        self._models = settings.models

    def model_name(self, model: str) -> str | None:
        """Return the provider's name of a model; None if it does not serve the model."""
        return self._models.get(model) if self._models else model

    def translate(
        self, translate: Callable[[Translation], None], text: bytes, body: Document
    ) -> Translation:
        """Return a request in the provider's dialect, by an endpoint's `translate`.

        `text` is the encoded body, which is sent unchanged unless the dialect requires a change.
        Raises BadRequest for a request that the dialect cannot express.
        """
        if self._models:
            body = body | {"model": self._models[body["model"]]}
            text = compact(body)
        translation = Translation(self.dialect, text, body)
        translate(translation)
        return translation

    def model_entry(self, model: str, deadline: Deadline) -> Document | None:
        """Return the provider's list entry of a model; None if it has none."""
        return self.catalog.entry(self.model_name(model) or model, deadline)

    def priced_entry(
        self, model: str, deadline: Deadline, retry_seconds: float = RETRY_SECONDS
    ) -> Document | None:
        """Return the list entry of a model; PricesUnavailable if the list is unavailable."""
        entry = self.catalog.entry(self.model_name(model) or model, deadline, retry_seconds)
        if entry is None and self.catalog.is_unavailable:
            raise PricesUnavailable(
                "The provider's prices are unavailable, and your budget needs them, so nothing "
                "was sent. Try again in a moment."
            )
        return entry

    def answer_entry(
        self, answered: str | None, requested: str, deadline: Deadline
    ) -> Document | None:
        """Return the list entry of the model that an answer names, or of the requested one.

        A provider may answer under a name that it does not list.
        """
        found = self.catalog.entry(answered, deadline) if answered else None
        return found or self.model_entry(requested, deadline)

    def list_models(
        self, deadline: Deadline, tracker: AttemptTracker, *, retry: bool
    ) -> list[Document]:
        """Return the models that can be requested here, with their list entries."""
        try:
            listing = self.catalog.listing(deadline, tracker, retry=retry)
        except RelayError:
            if not self._models:
                raise
            listing = {}  # mapped models can be requested without a list
        entries = objects_in(listing, "data")
        if not self._models:
            return entries
        known = {str(entry.get("id")): entry for entry in entries}
        bare = {"object": "model", "created": 0, "owned_by": self.name}
        return [known.get(name, bare) | {"id": model} for model, name in self._models.items()]
