"""One provider: its models, their names here, and requests in its dialect."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from llm_relay.core.defaults import objects_in
from llm_relay.core.errors import PricesUnavailable, RelayError
from llm_relay.core.json_codec import compact
from llm_relay.providers.dialects.translation import TranslatedRequest, Translation
from llm_relay.providers.model_catalog import RETRY_SECONDS, ModelCatalog

if TYPE_CHECKING:
    from llm_relay.core.deadline import Deadline
    from llm_relay.providers.client import AttemptTracker, ProviderClient

Document = dict[str, Any]


class Provider:
    """A provider, with the names that its models have here: the provider's own, unless mapped."""

    def __init__(self, client: ProviderClient, models: Mapping[str, str] | None = None) -> None:
        self.client = client
        self.name = client.name
        self.dialect = client.settings.dialect
        self.catalog = ModelCatalog(client)
        self._models = models or {}

    @property
    def has_model_names(self) -> bool:
        """Whether its models have names of ours."""
        return bool(self._models)

    def model_name(self, model: str) -> str | None:
        """Return the provider's name of a model; None if it does not serve the model."""
        return self._models.get(model) if self._models else model

    def translate(
        self, translate: Callable[[Translation], None], text: bytes, body: Document
    ) -> TranslatedRequest:
        """Return a request in the provider's dialect, by an endpoint's `translate`.

        `text` is the encoded body, which is sent unchanged unless the dialect requires a change.
        Raises BadRequest for a request that the dialect cannot express.
        """
        if self._models:
            body = body | {"model": self._models[body["model"]]}
            text = compact(body)
        translation = Translation(self.dialect, text, body)
        translate(translation)
        return translation.result()

    def model_entry(
        self, model: str, deadline: Deadline, retry_seconds: float = RETRY_SECONDS
    ) -> Document | None:
        """Return the provider's list entry of a model; None if it has none."""
        return self.catalog.entry(self.model_name(model) or model, deadline, retry_seconds)

    def priced_entry(
        self, model: str, deadline: Deadline, retry_seconds: float = RETRY_SECONDS
    ) -> Document | None:
        """Return the list entry of a model; PricesUnavailable if the list is unavailable."""
        entry = self.model_entry(model, deadline, retry_seconds)
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
