"""All providers in their order, and when the next one is called after a failure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar

from llm_relay.core import errors
from llm_relay.core.http_status import is_retryable
from llm_relay.providers.provider import Provider

if TYPE_CHECKING:
    from llm_relay.core.deadline import Deadline
    from llm_relay.core.defaults import Document
    from llm_relay.providers.client import AttemptTracker
    from llm_relay.providers.settings import ProviderSettings

T = TypeVar("T")
# Gets a provider and whether to retry, rather than to leave it to another provider.
ProviderCall = Callable[[Provider, bool], T]

_MODEL_NOT_FOUND = "model_not_found"
_NOTHING_SENT = (
    errors.BadRequest,  # a field that the dialect does not support
    errors.DeadlineExceeded,
    errors.ProviderKeyMissing,
    errors.ProviderKeyRejected,
    errors.UpstreamUnreachable,
)


class ProviderRouter:
    """The providers; the first is called as long as it answers."""

    def __init__(self, settings: Sequence[ProviderSettings]) -> None:
        self._providers = tuple(map(Provider, settings))
        self.settings = settings[0]  # timeouts and retries are the same for all

    def __iter__(self) -> Iterator[Provider]:
        """Iterate over the providers in their order."""
        return iter(self._providers)

    @property
    def has_failover(self) -> bool:
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
        failures = []
        for provider in self._providers:
            if provider.model_name(model) is None:
                continue
            try:
                accepted[provider] = accept(provider)
            except errors.RelayError as failure:
                failures.append(failure)
        if accepted:
            return accepted
        raise errors.most_relevant(failures) if failures else model_not_found(model)

    def call_with_failover(self, providers: Sequence[Provider], call: ProviderCall[T]) -> T:
        """Return the answer of the first provider that has one; RelayError if it is final."""
        return _call_in_turn(providers, call) if self.has_failover else call(providers[0], True)

    def list_models(self, deadline: Deadline, tracker: AttemptTracker) -> Document:
        """Return the models that can be requested; RelayError if no provider lists any."""
        if not (self.has_failover or self._providers[0].settings.models):
            return self._providers[0].catalog.listing(deadline, tracker)
        models: dict[str, Document] = {}
        failures = []
        for index, provider in enumerate(self._providers):
            # A provider that hangs leaves the others their share of the time.
            share = deadline.within(deadline.remaining() / (len(self._providers) - index))
            try:
                for entry in provider.list_models(share, tracker, retry=not self.has_failover):
                    models.setdefault(str(entry.get("id")), entry)  # the first provider's counts
            except errors.RelayError as failure:
                failures.append(failure)
        if failures and not models:
            raise failures[0]
        tracker.provider = ""  # the list is of several
        return {"object": "list", "data": list(models.values())}


def _call_in_turn(providers: Sequence[Provider], call: ProviderCall[T]) -> T:
    """Call the next provider when one fails, as long as no call can be charged twice.

    Providers with an open circuit are called last, not left out: refusing a call helps no caller.
    """
    from llm_relay.providers import circuit_breaker  # noqa: PLC0415 - imports boto3

    closed = (each for each in reversed(providers) if circuit_breaker.is_closed(each.name))
    retried = next(closed, providers[-1])  # no other one with a closed circuit follows it
    failures: list[errors.RelayError] = []
    queue = [(provider, True) for provider in providers]
    for provider, must_be_closed in queue:  # to which those with an open circuit are appended
        attempt = partial(call, provider, provider is retried)
        try:
            if must_be_closed:
                return circuit_breaker.call_if_closed(provider.name, attempt)
            return attempt()
        except circuit_breaker.CircuitOpenError:
            queue.append((provider, False))
        except errors.RelayError as failure:
            failure.provider = provider.name
            if not _can_fail_over(failure):
                raise
            failures.append(failure)
    raise min(failures, key=_rank)


def _can_fail_over(failure: errors.RelayError) -> bool:
    """Return whether another provider may be called: this one cannot have charged anything."""
    if isinstance(failure, _NOTHING_SENT):
        return True
    if not isinstance(failure, errors.ProviderError):
        return False
    if failure.status in (HTTPStatus.PAYMENT_REQUIRED, HTTPStatus.TOO_MANY_REQUESTS):
        return True
    may_retry = failure.headers().get("x-should-retry") != "false"
    return failure.code == _MODEL_NOT_FOUND or (is_retryable(failure.status) and may_retry)


def _rank(failure: errors.RelayError) -> int:
    """Order failures by relevance: a wait is reported first, then the first provider's failure."""
    if failure.status == HTTPStatus.TOO_MANY_REQUESTS:
        return 0
    is_about_request = isinstance(failure, errors.BadRequest) or failure.code == _MODEL_NOT_FOUND
    return 2 if is_about_request else 1


def model_not_found(model: str) -> errors.ModelNotFound:
    """Return the error for a model that no provider has."""
    return errors.ModelNotFound(
        f"The provider has no model {model!r:.100}. GET /v1/models lists the available models.",
        param="model",
    )
