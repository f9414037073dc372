"""A provider's list of models, fetched at most once per step."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from llm_relay.core.deadline import Deadline
from llm_relay.core.defaults import objects_in
from llm_relay.core.errors import ProviderRefused, RelayError
from llm_relay.providers.client import AttemptTracker

if TYPE_CHECKING:
    from llm_relay.providers.provider import Provider

_TIMEOUT_SECONDS = 30.0


class ModelListing:
    """A provider's list of models.

    If it is needed and cannot be fetched, that is an error, unless the provider has no list.
    """

    def __init__(self, provider: Provider, *, is_needed: bool) -> None:
        self._provider = provider
        self._is_needed = is_needed
        self._entries: Mapping[str, Mapping[str, Any]] | None = None
        self._failure: RelayError | None = None

    def entry(self, model: str) -> Mapping[str, Any] | None:
        """Return the entry of a model, if the provider lists it."""
        if self._failure:
            raise self._failure
        if self._entries is None:
            self._entries = self._fetch()
        return self._entries.get(self._provider.model_name(model) or model)

    def _fetch(self) -> Mapping[str, Mapping[str, Any]]:
        deadline = Deadline.after(_TIMEOUT_SECONDS)
        try:
            listing = self._provider.catalog.listing(deadline, AttemptTracker())
        except RelayError as error:
            has_none = isinstance(error, ProviderRefused) and error.status == HTTPStatus.NOT_FOUND
            if self._is_needed and not has_none:
                self._failure = error
                raise
            return {}
        return {str(entry.get("id")): entry for entry in objects_in(listing, "data")}
