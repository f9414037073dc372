"""Calls the next provider when one fails, as long as no call can be charged twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar

from llm_relay.core.errors import (
    BadRequest,
    DeadlineExceeded,
    ProviderKeyMissing,
    ProviderKeyRejected,
    ProviderRefused,
    RelayError,
    UpstreamUnreachable,
)
from llm_relay.core.http_status import is_retryable
from llm_relay.providers.circuit_breaker import CircuitOpenError, circuit_breakers

if TYPE_CHECKING:
    from llm_relay.providers.provider import Provider

T = TypeVar("T")

_MODEL_NOT_FOUND = "model_not_found"
_NOTHING_SENT = (
    BadRequest,  # a field that the dialect does not support
    DeadlineExceeded,
    ProviderKeyMissing,
    ProviderKeyRejected,
    UpstreamUnreachable,
)


def first_answer(providers: Sequence[Provider], call: Callable[[Provider, bool], T]) -> T:
    """Return the answer of the first provider that has one; RelayError if it is final.

    `call` gets a provider and whether to retry, which the last provider with a closed circuit does.
    Providers with an open circuit are called last, not left out: refusing a call helps no caller.
    """
    failures: list[RelayError] = []
    skipped: list[Provider] = []
    retried = _last_closed(providers)
    for provider in providers:
        attempt = partial(call, provider, provider is retried)
        try:
            return circuit_breakers().call(provider.name, attempt)
        except CircuitOpenError:
            skipped.append(provider)
        except RelayError as failure:
            failures.append(_checked(provider, failure))
    for provider in skipped:
        try:
            return call(provider, provider is retried)
        except RelayError as failure:
            failures.append(_checked(provider, failure))
    raise min(failures, key=_rank)


def _can_fail_over(failure: RelayError) -> bool:
    """Return whether another provider may be called: this one cannot have charged anything."""
    if isinstance(failure, _NOTHING_SENT):
        return True
    if not isinstance(failure, ProviderRefused):
        return False
    if failure.status in (HTTPStatus.PAYMENT_REQUIRED, HTTPStatus.TOO_MANY_REQUESTS):
        return True
    may_retry = failure.headers().get("x-should-retry") != "false"
    return failure.code == _MODEL_NOT_FOUND or (is_retryable(failure.status) and may_retry)


def _last_closed(providers: Sequence[Provider]) -> Provider:
    """Return the provider to retry: no other one with a closed circuit follows it."""
    breakers = circuit_breakers()
    closed = (each for each in reversed(providers) if breakers.is_closed(each.name))
    return next(closed, providers[-1])


def _checked(provider: Provider, failure: RelayError) -> RelayError:
    """Return a failure after which the next provider is called; raise one that is final."""
    failure.provider = provider.name
    if _can_fail_over(failure):
        return failure
    raise failure


def _rank(failure: RelayError) -> int:
    """Order failures by relevance: a wait is reported first, then the first provider's failure."""
    if failure.status == HTTPStatus.TOO_MANY_REQUESTS:
        return 0
    is_about_request = isinstance(failure, BadRequest) or failure.code == _MODEL_NOT_FOUND
    return 2 if is_about_request else 1
