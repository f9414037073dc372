"""All providers that there are, in the order in which they are asked."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from llm_relay.core.errors import ModelNotFound, RelayError, most_relevant
from llm_relay.providers.client import ProviderClient
from llm_relay.providers.key_pool import ProviderKeys
from llm_relay.providers.provider import Provider
from llm_relay.providers.settings import ProviderKeySettings, ProviderSettings
from llm_relay.transport.http_transport import HttpTransport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from llm_relay.billing.admission import Admission
    from llm_relay.core.deadline import Deadline
    from llm_relay.providers.client import AttemptTracker

T = TypeVar("T")
ONLY = "default"  # the name of a provider that is not in a list
Document = dict[str, Any]


class ProviderRouter:
    """The providers, the first of which is asked as long as it answers."""

    def __init__(self, sources: Sequence[Provider]) -> None:
        self._sources = tuple(sources)
        # How patient we are is the same for all of them.
        self.settings: ProviderSettings = sources[0].provider.settings

    def __iter__(self) -> Iterator[Provider]:
        """Go through them in their order."""
        return iter(self._sources)

    @property
    def are_many(self) -> bool:
        """Tell whether one can stand in for another."""
        return len(self._sources) > 1

    def named(self, name: str | None) -> Provider:
        """Return the provider of a name, or the first."""
        return next((each for each in self._sources if each.name == name), self._sources[0])

    def admission(self, model: str, admitted: Callable[[Provider], Admission]) -> Admission:
        """Return a request as those may take it that can, at the price of the dearest.

        Raises the foremost refusal if no provider can, ModelNotFound if none has the model.
        """
        admissions: dict[Provider, Admission] = {}
        refusals = []
        for source in self._sources:
            if source.theirs(model) is None:
                continue
            try:
                admissions[source] = admitted(source)
            except RelayError as refusal:
                refusals.append(refusal)
        if admissions:
            return _together(admissions)
        raise most_relevant(refusals) if refusals else model_not_found(model)

    def ask(self, sources: Sequence[Provider], work: Callable[[Provider, bool], T]) -> T:
        """Do the work with the first of these that answers, as long as none may be paid twice.

        The work is told whether it may wait for its provider: only if there is no other.
        """
        if not self.are_many:
            return work(sources[0], True)
        from llm_relay.providers.failover import first_answer  # noqa: PLC0415 - one provider needs none

        return first_answer(sources, work)

    def listing(self, deadline: Deadline, effort: AttemptTracker) -> Document:
        """Return the models that can be asked for; a RelayError if no provider lists any."""
        if not (self.are_many or self._sources[0].renames):
            return self._sources[0].catalogue.listing(deadline, effort)
        models: dict[str, Document] = {}
        failures = []
        for place, source in enumerate(self._sources):
            # Whoever hangs leaves the others their time.
            share = deadline.within(deadline.remaining() / (len(self._sources) - place))
            try:
                for entry in source.models(share, effort, waits=not self.are_many):
                    models.setdefault(str(entry.get("id")), entry)  # the first one's counts
            except RelayError as failure:
                failures.append(failure)
        if failures and not models:
            raise failures[0]
        effort.provider = ""  # it is nobody's alone
        return {"object": "list", "data": list(models.values())}


def router_from(environ: Mapping[str, str]) -> ProviderRouter:
    """Return the providers that the environment names; ValueError says what is wrong with it."""
    settings = ProviderSettings.from_mapping(environ)
    keys = ProviderKeySettings.from_mapping(environ)
    if not environ.get("PROVIDERS"):
        return ProviderRouter([Provider(_provider(settings, keys, ONLY))])
    from llm_relay.providers.provider_list import parse_provider_list  # noqa: PLC0415 - most have no list

    return ProviderRouter(
        [
            Provider(_provider(each.upstream(settings), each.key(keys), each.name), each.models)
            for each in parse_provider_list(environ["PROVIDERS"])
        ]
    )


def model_not_found(model: str) -> ModelNotFound:
    """Return the refusal of a model that there is not."""
    return ModelNotFound(
        f"The provider has no model {model!r:.100}. GET /v1/models lists what there is.",
        param="model",
    )


def _provider(settings: ProviderSettings, keys: ProviderKeySettings, name: str) -> ProviderClient:
    transport = HttpTransport(settings.transport)
    return ProviderClient(transport, ProviderKeys(keys, transport.preconnect), name, settings)


def _together(admissions: Mapping[Provider, Admission]) -> Admission:
    """Return the first as one for all: whoever serves in the end, the money is set aside."""
    return replace(
        next(iter(admissions.values())),
        max_cost_nanos=max(each.max_cost_nanos for each in admissions.values()),
        bodies={source: each.body for source, each in admissions.items()},
    )
