"""All providers, in the order in which they are called."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from llm_relay.core.errors import ModelNotFound, RelayError, most_relevant
from llm_relay.providers.client import AttemptTracker, ProviderClient
from llm_relay.providers.key_pool import ProviderKeys
from llm_relay.providers.provider import Provider
from llm_relay.providers.settings import ProviderKeySettings, ProviderSettings
from llm_relay.transport.http_transport import HttpTransport

if TYPE_CHECKING:
    from llm_relay.core.deadline import Deadline

T = TypeVar("T")
DEFAULT_NAME = "default"  # of a provider that is not in a list
Document = dict[str, Any]


class ProviderRouter:
    """The providers; the first is called as long as it answers."""

    def __init__(self, providers: Sequence[Provider]) -> None:
        self._providers = tuple(providers)
        # Timeouts and retries are the same for all of them.
        self.settings: ProviderSettings = providers[0].client.settings

    def __iter__(self) -> Iterator[Provider]:
        """Iterate over the providers in their order."""
        return iter(self._providers)

    @property
    def are_many(self) -> bool:
        """Whether one provider can replace another."""
        return len(self._providers) > 1

    def named(self, name: str | None) -> Provider:
        """Return the provider of a name, or the first."""
        return next((each for each in self._providers if each.name == name), self._providers[0])

    def accepting(self, model: str, accept: Callable[[Provider], T]) -> dict[Provider, T]:
        """Return the results of `accept` for each provider of the model that raises no RelayError.

        Raises the most relevant error if all do, ModelNotFound if no provider has the model.
        """
        accepted: dict[Provider, T] = {}
        refusals = []
        for provider in self._providers:
            if provider.model_name(model) is None:
                continue
            try:
                accepted[provider] = accept(provider)
            except RelayError as refusal:
                refusals.append(refusal)
        if accepted:
            return accepted
        raise most_relevant(refusals) if refusals else model_not_found(model)

    def first_answer(self, providers: Sequence[Provider], call: Callable[[Provider, bool], T]) -> T:
        """Return the first provider's answer, as long as no call can be charged twice.

        `call` gets a provider and whether to retry, rather than to leave it to another provider.
        """
        if not self.are_many:
            return call(providers[0], True)
        from llm_relay.providers.failover import first_answer  # noqa: PLC0415 - for several alone

        return first_answer(providers, call)

    def list_models(self, deadline: Deadline, tracker: AttemptTracker) -> Document:
        """Return the models that can be requested; RelayError if no provider lists any."""
        if not (self.are_many or self._providers[0].has_model_names):
            return self._providers[0].catalog.listing(deadline, tracker)
        models: dict[str, Document] = {}
        failures = []
        for index, provider in enumerate(self._providers):
            # A provider that hangs leaves the others their share of the time.
            share = deadline.within(deadline.remaining() / (len(self._providers) - index))
            try:
                for entry in provider.list_models(share, tracker, retry=not self.are_many):
                    models.setdefault(str(entry.get("id")), entry)  # the first provider's counts
            except RelayError as failure:
                failures.append(failure)
        if failures and not models:
            raise failures[0]
        tracker.provider = ""  # the list is of several
        return {"object": "list", "data": list(models.values())}


def router_from(environ: Mapping[str, str]) -> ProviderRouter:
    """Return the providers that the environment names; ValueError if it is invalid."""
    settings = ProviderSettings.from_mapping(environ)
    keys = ProviderKeySettings.from_mapping(environ)
    if not environ.get("PROVIDERS"):
        return ProviderRouter([Provider(_client(DEFAULT_NAME, settings, keys))])
    from llm_relay.providers.provider_list import parse_provider_list  # noqa: PLC0415 - for lists

    return ProviderRouter(
        [
            Provider(
                _client(each.name, each.settings(settings), each.key_settings(keys)), each.models
            )
            for each in parse_provider_list(environ["PROVIDERS"])
        ]
    )


def model_not_found(model: str) -> ModelNotFound:
    """Return the error for a model that no provider has."""
    return ModelNotFound(
        f"The provider has no model {model!r:.100}. GET /v1/models lists the available models.",
        param="model",
    )


def _client(name: str, settings: ProviderSettings, keys: ProviderKeySettings) -> ProviderClient:
    transport = HttpTransport(settings.transport)
    return ProviderClient(name, settings, transport, ProviderKeys(keys, transport.preconnect))
