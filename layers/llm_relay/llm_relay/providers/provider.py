"""One provider as requests see it: what it lists, and what it calls the models asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llm_relay.core.defaults import objects_in
from llm_relay.core.errors import PricesUnavailable, RelayError
from llm_relay.core.json_codec import compact
from llm_relay.providers.dialects.translation import TranslatedRequest, Translation
from llm_relay.providers.model_catalog import RETRY_SECONDS, ModelCatalog

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llm_relay.core.deadline import Deadline
    from llm_relay.endpoints.endpoint import Endpoint
    from llm_relay.providers.client import AttemptTracker, ProviderClient

Document = dict[str, Any]


class Provider:
    """A provider, its list of models, and the names that those go by here.

    Without names of our own, every model goes by the provider's.
    """

    def __init__(self, provider: ProviderClient, models: Mapping[str, str] | None = None) -> None:
        self.provider = provider
        self.name = provider.name
        self.dialect = provider.settings.dialect
        self.catalogue = ModelCatalog(provider)
        self._models = models or {}

    @property
    def renames(self) -> bool:
        """Tell whether its models go by names of our own."""
        return bool(self._models)

    def theirs(self, asked: str) -> str | None:
        """Return the provider's name of a model; None if it is not to be asked for that."""
        return self._models.get(asked) if self._models else asked

    def translated(self, endpoint: Endpoint, text: bytes, body: Document) -> TranslatedRequest:
        """Return a request as the provider takes it; BadRequest if it cannot.

        `text` is the body's bytes, sent as they are unless something has to change.
        """
        if self._models:
            body = body | {"model": self._models[body["model"]]}
            text = compact(body)
        translation = Translation(self.dialect, text, body)
        endpoint.translate(translation)
        return translation.result()

    def entry(
        self, asked: str, deadline: Deadline, retry_seconds: float = RETRY_SECONDS
    ) -> Document | None:
        """Return what the provider lists of a model, by the name that is asked for."""
        return self.catalogue.entry(self.theirs(asked) or asked, deadline, retry_seconds)

    def priced_entry(
        self, asked: str, deadline: Deadline, retry_seconds: float = RETRY_SECONDS
    ) -> Document | None:
        """Return what is listed of a model for a budget; PricesUnavailable if that may yet come."""
        entry = self.entry(asked, deadline, retry_seconds)
        if entry is None and self.catalogue.is_away:
            raise PricesUnavailable(
                "The provider's prices cannot be had now, and your budget needs them, so nothing "
                "was sent. Try again in a moment."
            )
        return entry

    def entry_of_answer(self, model: str | None, asked: str, deadline: Deadline) -> Document | None:
        """Return what is listed of the model that an answer names, or else of the one asked for.

        A provider may answer under a name that it does not list.
        """
        found = self.catalogue.entry(model, deadline) if model else None
        return found or self.entry(asked, deadline)

    def models(self, deadline: Deadline, effort: AttemptTracker, *, waits: bool) -> list[Document]:
        """Return the models that can be asked for here, with all that is listed of them."""
        if not self._models:
            return objects_in(self.catalogue.listing(deadline, effort, waits=waits), "data")
        try:
            listing = self.catalogue.listing(deadline, effort, waits=waits)
        except RelayError:
            listing = {}  # they can be asked for all the same
        known = {str(entry.get("id")): entry for entry in objects_in(listing, "data")}
        bare = {"object": "model", "created": 0, "owned_by": self.name}
        return [known.get(theirs, bare) | {"id": asked} for asked, theirs in self._models.items()]
