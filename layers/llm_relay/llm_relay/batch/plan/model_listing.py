"""A provider's list of models, asked for once in the course of a step."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from llm_relay.core.deadline import Deadline
from llm_relay.core.defaults import objects_in
from llm_relay.core.errors import ProviderRefused, RelayError
from llm_relay.providers.client import AttemptTracker

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llm_relay.providers.provider import Provider

_SECONDS = 30.0


class ModelListing:
    """What a provider lists of its models.

    Where nothing can be told without it, a list that does not come now is an error, except from a
    provider that has none.
    """

    def __init__(self, source: Provider, *, is_needed: bool) -> None:
        self._source = source
        self._is_needed = is_needed
        self._entries: Mapping[str, Mapping[str, Any]] | None = None
        self._failure: RelayError | None = None

    def entry(self, model: str) -> Mapping[str, Any] | None:
        """Return what is listed of a model, if it is listed."""
        if self._failure:
            raise self._failure
        if self._entries is None:
            self._entries = self._fetched()
        return self._entries.get(self._source.model_name(model) or model)

    def _fetched(self) -> Mapping[str, Mapping[str, Any]]:
        try:
            listing = self._source.catalog.listing(Deadline.after(_SECONDS), AttemptTracker())
        except RelayError as error:
            has_none = isinstance(error, ProviderRefused) and error.status == HTTPStatus.NOT_FOUND
            if self._is_needed and not has_none:
                self._failure = error
                raise
            return {}
        return {str(entry.get("id")): entry for entry in objects_in(listing, "data")}
