"""Who is asked in whose place: the next provider, as long as nothing can have been paid."""

from __future__ import annotations

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
from llm_relay.providers.circuit_breaker import CircuitOpen, circuit_breakers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from llm_relay.providers.provider import Provider

T = TypeVar("T")

_NO_SUCH_MODEL = "model_not_found"
_NOTHING_SENT = (
    BadRequest,  # what its dialect has no word for
    DeadlineExceeded,
    ProviderKeyMissing,
    ProviderKeyRejected,
    UpstreamUnreachable,
)


def first_answer(sources: Sequence[Provider], work: Callable[[Provider, bool], T]) -> T:
    """Return what the first of the providers answers; a RelayError if it is final, or none does.

    Those whose circuit is open are asked last, and not left out: refusing helps nobody.
    """
    failures: list[RelayError] = []
    skipped: list[Provider] = []
    patient = _last_closed(sources)
    for source in sources:
        try:
            return circuit_breakers().guard(source.name, partial(work, source, source is patient))
        except CircuitOpen:
            skipped.append(source)
        except RelayError as failure:
            failures.append(_passed_over(source, failure))
    for source in skipped:
        try:
            return work(source, source is patient)
        except RelayError as failure:
            failures.append(_passed_over(source, failure))
    raise min(failures, key=_rank)


def may_be_asked_elsewhere(failure: RelayError) -> bool:
    """Tell whether another provider may be asked: nobody has answered, or may have been paid."""
    if isinstance(failure, _NOTHING_SENT):
        return True
    if not isinstance(failure, ProviderRefused):
        return False
    if failure.status in (HTTPStatus.PAYMENT_REQUIRED, HTTPStatus.TOO_MANY_REQUESTS):
        return True
    says_no = failure.headers().get("x-should-retry") == "false"
    return failure.code == _NO_SUCH_MODEL or (is_retryable(failure.status) and not says_no)


def _last_closed(sources: Sequence[Provider]) -> Provider:
    """Return the one to be patient with: behind it are none, or none that is known to answer."""
    closed = (source for source in reversed(sources) if circuit_breakers().is_closed(source.name))
    return next(closed, sources[-1])


def _passed_over(source: Provider, failure: RelayError) -> RelayError:
    """Return a failure after which the next provider is asked; raise one that is final."""
    failure.provider = source.name
    if may_be_asked_elsewhere(failure):
        return failure
    raise failure


def _rank(failure: RelayError) -> int:
    """Return how little it tells: who has to wait should know, and the first provider counts."""
    if failure.status == HTTPStatus.TOO_MANY_REQUESTS:
        return 0
    is_about_request = isinstance(failure, BadRequest) or failure.code == _NO_SUCH_MODEL
    return 2 if is_about_request else 1
