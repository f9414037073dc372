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
from typing import Any, TypeVar

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities import circuit_breaker as powertools
from aws_lambda_powertools.utilities.circuit_breaker import persistence

from llm_relay.aws.boto3_client import boto3_client
from llm_relay.core import errors
from llm_relay.core.error_log import log_internal_error

T = TypeVar("T")
PARTITION = "circuits"
FAILURES = 5  # in a row, in one function instance
OPEN_SECONDS = 30
CACHE_SECONDS = 10
_DYNAMODB_TIMEOUT_SECONDS = 1  # after which calls go on as if all circuits were closed
_PROVIDER_FAILURES = (
    errors.ProviderKeyMissing,
    errors.ProviderKeyRejected,
    errors.UpstreamFailed,
    errors.UpstreamTimedOut,
    errors.UpstreamUnreachable,
)
_Record = persistence.record.CircuitStateRecord
CircuitOpenError = powertools.CircuitBreakerOpenError
_CREATION_LOCK = threading.Lock()  # boto3 cannot create clients in several threads at once


class _UndecidedError(Exception):
    """Carries a stream without an event so far: neither a success nor a failure yet."""


class _Config(powertools.CircuitBreakerConfig):
    def counts_as_failure(self, exception: Exception) -> bool:
        """Return whether a failure counts against the provider, which being busy does not."""
        if isinstance(exception, errors.ProviderError):
            is_out_of_credits = exception.status == HTTPStatus.PAYMENT_REQUIRED
            return is_out_of_credits or exception.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        return isinstance(exception, _PROVIDER_FAILURES)


_CONFIG = _Config(
    failure_threshold=FAILURES,
    recovery_timeout=OPEN_SECONDS,
    success_threshold=1,
    local_cache_max_age=CACHE_SECONDS,
)


def call_if_closed(name: str, work: Callable[[], T]) -> T:
    """Do the work and count its outcome; CircuitOpenError if the circuit is open."""
    protected = powertools.circuit_breaker(
        name=name, persistence_store=_store(), on_transition=_log_change, config=_CONFIG
    )(partial(_classified, work))
    try:
        answer: T | errors.ProviderError = protected()
    except _UndecidedError as undecided:
        [silent_answer] = undecided.args
        silent_answer.body.on_outcome = partial(_count_outcome, name)
        answer = silent_answer
    if isinstance(answer, errors.ProviderError):
        raise answer
    return answer


def is_closed(name: str) -> bool:
    """Return whether a provider's circuit is closed, as far as is known."""
    store = _store()
    store.configure(_CONFIG, name)
    return store.get_state(name).state == powertools.CircuitState.CLOSED


def _classified(work: Callable[[], T]) -> T | errors.ProviderError:
    """Return an outcome that counts as success; raise one that counts as failure or neither."""
    try:
        answer = work()
    except errors.ProviderError as error:
        if _CONFIG.counts_as_failure(error):
            raise
        return error
    if getattr(getattr(answer, "body", None), "is_silent", False):
        raise _UndecidedError(answer)
    return answer


def _count_outcome(name: str, failure: errors.RelayError | None) -> None:
    """Count the outcome of a stream that had no event when it was returned."""

    def outcome() -> None:
        if failure:
            raise failure

    with suppress(CircuitOpenError, errors.RelayError):
        call_if_closed(name, outcome)


def _log_change(change: powertools.CircuitTransition) -> None:
    fields = {"provider": change.circuit_name, "circuit": str(change.to_state)}
    Logger().warning("circuit", extra=fields)


class _CircuitStore(persistence.CircuitBreakerDynamoDBPersistence):
    """Shares circuits; without DynamoDB, each function instance uses its own."""

    def _get_record(self, name: str) -> _Record | None:
        with _logged_failures():
            return super()._get_record(name)
        return None  # as a closed circuit, which is cached for CACHE_SECONDS

    def _put_record(self, record: _Record, *args: Any, **kwargs: Any) -> None:
        with _logged_failures():
            super()._put_record(record, *args, **kwargs)
            return
        if args or kwargs:  # a condition: it is unknown which instance may try the provider again
            raise persistence.base.CircuitBreakerExistingLockError

    def _update_record(self, record: _Record) -> None:
        with _logged_failures():
            super()._update_record(record)


@contextmanager
def _logged_failures() -> Iterator[None]:
    """Log and suppress failures of DynamoDB: calls go on whatever the reason."""
    try:
        yield
    except persistence.base.CircuitBreakerExistingLockError:
        raise
    except Exception as error:  # noqa: BLE001
        log_internal_error(error, PARTITION)


def _store() -> _CircuitStore:
    with _CREATION_LOCK:
        return circuit_store()


@lru_cache(maxsize=1)
def circuit_store() -> _CircuitStore:
    """Return the store of this environment, made on first use."""
    client = boto3_client(
        "dynamodb",
        connect_timeout=_DYNAMODB_TIMEOUT_SECONDS,
        read_timeout=_DYNAMODB_TIMEOUT_SECONDS,
        retries={"mode": "standard", "total_max_attempts": 1},
        max_pool_connections=50,
    )
    return _CircuitStore(
        table_name=os.environ["CLIENTS_TABLE"],
        key_attr="pk",
        sort_key_attr="sk",
        static_pk_value=PARTITION,
        expiry_attr="expires_at",
        boto3_client=client,
    )
