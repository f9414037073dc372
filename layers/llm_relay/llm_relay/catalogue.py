"""What the provider lists of its models, kept for a while."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from llm_relay.documents import parse_object
from llm_relay.errors import RelayError, UpstreamBroke
from llm_relay.provider import Effort
from llm_relay.upstream import UpstreamRequest

if TYPE_CHECKING:
    from llm_relay.deadline import Deadline
    from llm_relay.provider import Provider

FRESH_SECONDS = 60.0  # for a caller who asks for the list
KNOWN_SECONDS = 600.0  # for limits and prices, which hold for longer

Listing = dict[str, Any]


class Catalogue:
    """The provider's list of models; one per environment."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._listing: Listing = {"data": []}
        self._asked_at = float("-inf")

    def listing(self, deadline: Deadline, effort: Effort) -> Listing:
        """Return the list, at most a minute old; a RelayError if the provider has none."""
        if self._age() > FRESH_SECONDS or not self._listing["data"]:
            self._listing = self._fetch(deadline, effort)
            self._asked_at = time.monotonic()
        return self._listing

    def entry(self, model: str, deadline: Deadline) -> Listing | None:
        """Return what is known of a model; None if it is not listed, or there is no list now."""
        if self._age() > KNOWN_SECONDS:
            self._asked_at = time.monotonic()  # a provider without a list is not asked each time
            try:
                self._listing = self._fetch(deadline, Effort())
            except RelayError:
                return None
        entries = (e for e in self._listing["data"] if isinstance(e, dict))
        return next((entry for entry in entries if entry.get("id") == model), None)

    def _age(self) -> float:
        return time.monotonic() - self._asked_at

    def _fetch(self, deadline: Deadline, effort: Effort) -> Listing:
        request = UpstreamRequest(method="GET", path="/models")
        reply = self._provider.call(request, deadline, effort)
        try:
            text = effort.waiting_for(lambda: reply.whole(deadline))
        finally:
            reply.close()
        listing = parse_object(text) or {}
        if not isinstance(listing.get("data"), list):
            raise UpstreamBroke("The provider's list of models is not one.")
        return {"object": "list"} | listing
