"""One circuit breaker per provider: while it is open, other providers are called first.

Powertools' circuit breaker counts failures in each function instance and shares the state in
DynamoDB, which each instance reads every few seconds.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache, partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.circuit_breaker import (
    CircuitBreakerConfig,
    CircuitBreakerOpenError,
    CircuitState,
    CircuitTransition,
    circuit_breaker,
)
from aws_lambda_powertools.utilities.circuit_breaker.persistence import (
    CircuitBreakerDynamoDBPersistence,
)
from aws_lambda_powertools.utilities.circuit_breaker.persistence.base import (
    CircuitBreakerExistingLockError,
)

from llm_relay.aws.boto3_client import boto3_client
from llm_relay.core.error_log import log_internal_error
from llm_relay.core.errors import (
    ProviderKeyMissing,
    ProviderKeyRejected,
    ProviderRefused,
    RelayError,
    UpstreamFailed,
    UpstreamTimedOut,
    UpstreamUnreachable,
)

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.circuit_breaker.persistence.record import (
        CircuitStateRecord,
    )

T = TypeVar("T")

PARTITION = "circuits"
FAILURES = 5  # in a row, in one function instance
OPEN_SECONDS = 30
CACHE_SECONDS = 10
_DYNAMODB_TIMEOUT_SECONDS = 1  # after which calls go on as if all circuits were closed
_PROVIDER_FAILURES = (
    ProviderKeyMissing,
    ProviderKeyRejected,
    UpstreamFailed,
    UpstreamTimedOut,
    UpstreamUnreachable,
)
_CREATION_LOCK = threading.Lock()  # boto3 cannot create clients in several threads at once


@runtime_checkable
class StreamedAnswer(Protocol):
    """A streamed body, which reports its outcome if no event had arrived when it was returned."""

    is_silent: bool
    on_outcome: Callable[[RelayError | None], None] | None


class CircuitOpenError(Exception):
    """The provider has failed repeatedly and is not called for now."""


class _ProviderFailedError(Exception):
    """Wraps a failure that counts against the provider."""

    def __init__(self, failure: RelayError) -> None:
        super().__init__(failure.code)
        self.failure = failure


class _UndecidedError(Exception):
    """Wraps a stream without an event so far, which counts neither way."""

    def __init__(self, answer: Any) -> None:
        super().__init__()
        self.answer = answer


_CONFIG = CircuitBreakerConfig(
    failure_threshold=FAILURES,
    recovery_timeout=OPEN_SECONDS,
    success_threshold=1,
    handled_exceptions=_ProviderFailedError,
    local_cache_max_age=CACHE_SECONDS,
)


class CircuitBreakers:
    """The circuit breakers of all providers, by provider name."""

    def __init__(self, store: CircuitBreakerDynamoDBPersistence) -> None:
        self._store = store

    def call(self, name: str, work: Callable[[], T]) -> T:
        """Do the work and count its outcome; CircuitOpenError if the circuit is open."""
        protected = circuit_breaker(
            name=name, persistence_store=self._store, on_transition=_log_change, config=_CONFIG
        )(partial(_classified, work))
        try:
            answer: T | ProviderRefused = protected()
        except CircuitBreakerOpenError:
            raise CircuitOpenError from None
        except _ProviderFailedError as error:
            raise error.failure from None
        except _UndecidedError as undecided:
            answer = undecided.answer
            undecided.answer.body.on_outcome = partial(self._count_outcome, name)
        if isinstance(answer, ProviderRefused):
            raise answer
        return answer

    def is_closed(self, name: str) -> bool:
        """Return whether a provider's circuit is closed, as far as is known."""
        self._store.configure(_CONFIG, name)
        return self._store.get_state(name).state == CircuitState.CLOSED

    def _count_outcome(self, name: str, failure: RelayError | None) -> None:
        def outcome() -> None:
            if failure:
                raise failure

        with suppress(CircuitOpenError, RelayError):
            self.call(name, outcome)


class _CircuitStore(CircuitBreakerDynamoDBPersistence):
    """Shares circuits; without DynamoDB, each function instance uses its own."""

    def _get_record(self, name: str) -> CircuitStateRecord | None:
        with _logged_failures():
            return super()._get_record(name)
        return None  # as a closed circuit, which is cached for CACHE_SECONDS

    def _put_record(
        self,
        record: CircuitStateRecord,
        condition: str | None = None,
        expected_opened_at: int | None = None,
    ) -> None:
        with _logged_failures():
            super()._put_record(record, condition, expected_opened_at)
            return
        if condition:  # it is unknown which instance may try the provider again
            raise CircuitBreakerExistingLockError

    def _update_record(self, record: CircuitStateRecord) -> None:
        with _logged_failures():
            super()._update_record(record)


@contextmanager
def _logged_failures() -> Iterator[None]:
    """Log and suppress failures of DynamoDB: calls go on whatever the reason."""
    try:
        yield
    except CircuitBreakerExistingLockError:
        raise
    except Exception as error:  # noqa: BLE001
        log_internal_error(error, PARTITION)


def circuit_breakers() -> CircuitBreakers:
    """Return the circuit breakers of this environment, created on first use."""
    with _CREATION_LOCK:
        return _create()


def reset_circuit_breakers() -> None:
    """Create them anew on the next use."""
    _create.cache_clear()


@lru_cache(maxsize=1)
def _create() -> CircuitBreakers:
    client = boto3_client(
        "dynamodb",
        connect_timeout=_DYNAMODB_TIMEOUT_SECONDS,
        read_timeout=_DYNAMODB_TIMEOUT_SECONDS,
        retries={"mode": "standard", "total_max_attempts": 1},
        max_pool_connections=50,
    )
    return CircuitBreakers(
        _CircuitStore(
            table_name=os.environ["CLIENTS_TABLE"],
            key_attr="pk",
            sort_key_attr="sk",
            static_pk_value=PARTITION,
            expiry_attr="expires_at",
            boto3_client=client,
        )
    )


def _classified(work: Callable[[], T]) -> T | ProviderRefused:
    """Return what shows that the provider works; raise what shows otherwise, or nothing."""
    try:
        answer = work()
    except RelayError as failure:
        if _is_provider_failure(failure):
            raise _ProviderFailedError(failure) from None
        if isinstance(failure, ProviderRefused):
            return failure
        raise  # nothing was sent
    body = getattr(answer, "body", None)
    if isinstance(body, StreamedAnswer) and body.is_silent:
        raise _UndecidedError(answer)
    return answer


def _is_provider_failure(failure: RelayError) -> bool:
    """Return whether a failure counts against the provider, which being busy does not."""
    if isinstance(failure, ProviderRefused):
        is_out_of_credits = failure.status == HTTPStatus.PAYMENT_REQUIRED
        return is_out_of_credits or failure.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return isinstance(failure, _PROVIDER_FAILURES)


def _log_change(change: CircuitTransition) -> None:
    fields = {"provider": change.circuit_name, "circuit": str(change.to_state)}
    Logger().warning("circuit", extra=fields)
