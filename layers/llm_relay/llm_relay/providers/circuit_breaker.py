"""One circuit per provider: open, it is left alone for a while, and one call tries it again.

Powertools' circuit breaker counts failures in each function instance and shares what comes of them
in DynamoDB, which is read once in some seconds.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from functools import lru_cache, partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar

import boto3
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.circuit_breaker import (
    CircuitBreakerConfig,
    CircuitBreakerOpenError,
    CircuitState,
    circuit_breaker,
)
from aws_lambda_powertools.utilities.circuit_breaker.persistence import (
    CircuitBreakerDynamoDBPersistence,
)
from aws_lambda_powertools.utilities.circuit_breaker.persistence.base import (
    CircuitBreakerExistingLockError,
)
from botocore.config import Config

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
from llm_relay.streaming.streaming_body import StreamingBody

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_lambda_powertools.utilities.circuit_breaker import CircuitTransition
    from aws_lambda_powertools.utilities.circuit_breaker.persistence.record import (
        CircuitStateRecord,
    )

T = TypeVar("T")

PARTITION = "circuits"
FAILURES = 5  # in a row, in one function instance
OPEN_SECONDS = 30
CACHE_SECONDS = 10
# Of DynamoDB, which calls wait for: without it they go on as if all were well.
_PATIENCE_SECONDS = 1
_DOWN = (
    ProviderKeyMissing,
    ProviderKeyRejected,
    UpstreamFailed,
    UpstreamTimedOut,
    UpstreamUnreachable,
)
_MAKING = threading.Lock()  # clients of boto3 cannot be made side by side


class CircuitOpen(Exception):  # noqa: N818 - what it is
    """The provider has failed again and again, and is left alone for now."""


class _DownError(Exception):
    """What counts as a failure of the provider, whatever becomes of the call."""

    def __init__(self, failure: RelayError) -> None:
        super().__init__(failure.code)
        self.failure = failure


class _SilentError(Exception):
    """A stream that has begun and not said anything yet, which tells nothing of its provider."""

    def __init__(self, answer: Any) -> None:
        super().__init__()
        self.answer = answer


CONFIG = CircuitBreakerConfig(
    failure_threshold=FAILURES,
    recovery_timeout=OPEN_SECONDS,
    success_threshold=1,
    handled_exceptions=_DownError,
    local_cache_max_age=CACHE_SECONDS,
)


class CircuitBreakers:
    """The circuits of all providers, by their names."""

    def __init__(self, store: CircuitBreakerDynamoDBPersistence) -> None:
        self._store = store

    def guard(self, name: str, work: Callable[[], T]) -> T:
        """Do the work and learn from it; CircuitOpen if the provider is to be left alone."""
        protected = circuit_breaker(
            name=name, persistence_store=self._store, on_transition=_tell, config=CONFIG
        )(partial(_judged, work))
        try:
            answer: T | ProviderRefused = protected()
        except CircuitBreakerOpenError:
            raise CircuitOpen from None
        except _DownError as down:
            raise down.failure from None
        except _SilentError as silent:
            answer = silent.answer
            silent.answer.body.on_outcome = partial(self._hear, name)
        if isinstance(answer, ProviderRefused):
            raise answer
        return answer

    def is_closed(self, name: str) -> bool:
        """Tell whether a provider is in its place, as far as is known."""
        self._store.configure(CONFIG, name)
        return self._store.get_state(name).state == CircuitState.CLOSED

    def _hear(self, name: str, failure: RelayError | None) -> None:
        """Learn from what became of a stream that began in silence."""

        def outcome() -> None:
            if failure:
                raise failure

        with suppress(CircuitOpen, RelayError):
            self.guard(name, outcome)


class Store(CircuitBreakerDynamoDBPersistence):
    """Where circuits are shared; while it is away, each function instance is by itself."""

    def _get_record(self, name: str) -> CircuitStateRecord | None:
        try:
            return super()._get_record(name)
        except Exception as error:  # noqa: BLE001 - whatever the reason, calls go on
            log_internal_error(error, PARTITION)
            return None  # as a closed one, which is kept for CACHE_SECONDS

    def _put_record(
        self,
        record: CircuitStateRecord,
        condition: str | None = None,
        expected_opened_at: int | None = None,
    ) -> None:
        try:
            super()._put_record(record, condition, expected_opened_at)
        except CircuitBreakerExistingLockError:
            raise
        except Exception as error:  # noqa: BLE001 - likewise
            log_internal_error(error, PARTITION)
            if condition:  # nobody knows who may try the provider again
                raise CircuitBreakerExistingLockError from None

    def _update_record(self, record: CircuitStateRecord) -> None:
        try:
            super()._update_record(record)
        except Exception as error:  # noqa: BLE001 - likewise
            log_internal_error(error, PARTITION)


def _judged(work: Callable[[], T]) -> T | ProviderRefused:
    """Return what tells that the provider is there; what is raised tells otherwise, or nothing."""
    try:
        answer = work()
    except RelayError as failure:
        if is_down(failure):
            raise _DownError(failure) from None
        if isinstance(failure, ProviderRefused):
            return failure
        raise  # nothing was sent
    body = getattr(answer, "body", None)
    if isinstance(body, StreamingBody) and body.is_silent:
        raise _SilentError(answer)
    return answer


def is_down(failure: RelayError) -> bool:
    """Tell whether a failure is one of the provider; one that is only busy is there."""
    if isinstance(failure, ProviderRefused):
        is_broke = failure.status == HTTPStatus.PAYMENT_REQUIRED
        return is_broke or failure.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return isinstance(failure, _DOWN)


def circuit_breakers() -> CircuitBreakers:
    """Return the circuits of this environment, made on first use."""
    with _MAKING:
        return _made()


def forget() -> None:
    """Make them anew on the next use."""
    _made.cache_clear()


@lru_cache(maxsize=1)
def _made() -> CircuitBreakers:
    patience = Config(
        connect_timeout=_PATIENCE_SECONDS,
        read_timeout=_PATIENCE_SECONDS,
        retries={"mode": "standard", "total_max_attempts": 1},
        max_pool_connections=50,
    )
    store = Store(
        table_name=os.environ["CLIENTS_TABLE"],
        key_attr="pk",
        sort_key_attr="sk",
        static_pk_value=PARTITION,
        expiry_attr="expires_at",
        boto3_client=boto3.client("dynamodb", config=patience),
    )
    return CircuitBreakers(store)


def _tell(change: CircuitTransition) -> None:
    facts = {"provider": change.circuit_name, "circuit": str(change.to_state)}
    Logger().warning("circuit", extra=facts)
