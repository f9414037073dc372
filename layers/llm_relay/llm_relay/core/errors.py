"""Every error that a caller can get, with its HTTP status and code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from http import HTTPStatus
from typing import Any, ClassVar

from llm_relay.core.http_status import is_retryable

_MAX_CODE_CHARACTERS = 100


class Fault(Enum):
    """Who has to act on a failure, as the metrics count it."""

    CALLER = "caller"
    RELAY = "relay"  # its operator
    PROVIDER = "provider"


class RelayError(Exception):
    """A failure that is returned to the caller as OpenAI's error object.

    Subclasses declare themselves in their class statement. By default, a status below 500 is an
    `invalid_request_error` and the caller's fault; any other is a `server_error` of the relay.
    The official SDKs retry by status; `retry=False` sends the header that stops them.
    """

    status: int = HTTPStatus.INTERNAL_SERVER_ERROR
    code: str | None = None
    error_type: ClassVar[str]
    fault: Fault
    sdk_retries: ClassVar[bool]
    provider: str | None = None  # the one that failed, where there are several

    def __init_subclass__(
        cls,
        *,
        status: int = HTTPStatus.INTERNAL_SERVER_ERROR,
        code: str | None = None,
        error_type: str | None = None,
        fault: Fault | None = None,
        retry: bool = True,
    ) -> None:
        """Set what the class statement declares."""
        is_server_error = status >= HTTPStatus.INTERNAL_SERVER_ERROR
        cls.status, cls.code, cls.sdk_retries = status, code, retry
        cls.error_type = error_type or (
            "server_error" if is_server_error else "invalid_request_error"
        )
        cls.fault = fault or (Fault.RELAY if is_server_error else Fault.CALLER)

    def __init__(
        self, message: str, *, param: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self._headers = dict(headers or {})

    def body(self) -> dict[str, Any]:
        """Return OpenAI's error object."""
        error = {"message": self.message, "type": self.error_type}
        return {"error": error | {"param": self.param, "code": self.code}}

    def headers(self) -> dict[str, str]:
        """Return the headers that belong to this failure."""
        retry = {} if self.sdk_retries else {"x-should-retry": "false"}
        provider = {"x-relay-provider": self.provider} if self.provider else {}
        return self._headers | retry | provider


class ProviderError(RelayError):
    """The provider answered with an error, which is returned unchanged."""

    def __init__(self, status: int, error: dict[str, Any], headers: Mapping[str, str]) -> None:
        super().__init__(str(error.get("message")), headers=headers)
        code = error.get("code")
        self.status = status
        self.code = code[:_MAX_CODE_CHARACTERS] if isinstance(code, str) else None
        is_temporary = status == HTTPStatus.PAYMENT_REQUIRED or is_retryable(status)
        self.fault = Fault.PROVIDER if is_temporary else Fault.CALLER
        self._error = error

    def body(self) -> dict[str, Any]:
        """Return the provider's error object."""
        return {"error": self._error}


class InternalError(RelayError, code="internal_error", retry=False):
    """The relay itself failed."""


class BadRequest(RelayError, status=400, code="invalid_request"):
    """The request cannot be relayed; nothing was sent."""


class ModelNotFound(RelayError, status=404, code="model_not_found"):
    """No provider lists a model of that name."""


class ModelNotAllowed(
    RelayError, status=403, code="model_not_allowed", error_type="permission_error"
):
    """The client may not use this model."""


class ProviderKeyMissing(RelayError, status=503, code="provider_key_missing"):
    """No provider key is stored."""


class ProviderKeyRejected(RelayError, status=502, code="provider_key_rejected"):
    """The provider rejects the stored key; the caller's own key is valid."""


class UpstreamUnreachable(
    RelayError, status=502, code="upstream_unreachable", fault=Fault.PROVIDER
):
    """The provider cannot be connected to; nothing was sent."""


class DeadlineExceeded(RelayError, status=504, code="upstream_timeout", fault=Fault.PROVIDER):
    """No time is left to call the provider; nothing was sent."""


class UpstreamFailed(
    RelayError, status=502, code="upstream_error", fault=Fault.PROVIDER, retry=False
):
    """The provider took the request and did not answer it completely; it may be billed."""


class UpstreamTimedOut(
    RelayError, status=504, code="upstream_timeout", fault=Fault.PROVIDER, retry=False
):
    """The provider was too slow; the request may be billed."""


class ReplayedFailure(ProviderError):
    """The failure of the first call under an Idempotency-Key, returned again."""


class IdempotencyKeyReused(RelayError, status=409, code="idempotency_key_reused", retry=False):
    """The Idempotency-Key was used before, with another body."""


class IdempotencyInProgress(RelayError, status=409, code="idempotency_in_progress"):
    """The first call under an Idempotency-Key is still running."""


class AnswerTooLarge(RelayError, status=409, code="answer_too_large_to_replay", retry=False):
    """The first answer under an Idempotency-Key was too large to store."""


class AnswerIncomplete(RelayError, status=409, code="answer_incomplete", retry=False):
    """The caller of the first call under an Idempotency-Key disconnected before its end."""


class IdempotencyUnavailable(RelayError, status=503, code="idempotency_unavailable"):
    """The Idempotency-Key cannot be looked up in DynamoDB; nothing was sent."""


class ModelUnpriced(RelayError, status=402, code="model_unpriced", retry=False):
    """The client has a budget, and the provider lists no price for the model."""


class PricesUnavailable(RelayError, status=503, code="prices_unavailable", fault=Fault.PROVIDER):
    """The client has a budget, and the provider's prices cannot be read now."""


class BudgetExceeded(
    RelayError, status=402, code="budget_exceeded", error_type="insufficient_quota", retry=False
):
    """The call may cost more than the client's remaining budget."""


class LedgerUnavailable(RelayError, status=503, code="budget_unavailable"):
    """The client's budget cannot be read from DynamoDB; nothing was sent."""


class ClientNotFound(RelayError, status=404, code="no_client"):
    """The caller's key belongs to no client, so its usage is not recorded."""


class FileNotFound(RelayError, status=404, code="file_not_found"):
    """The caller has no file of that id."""


class BatchNotFound(RelayError, status=404, code="batch_not_found"):
    """The caller has no batch of that id."""


class FileTooLarge(RelayError, status=413, code="file_too_large"):
    """The file is too large for API Gateway and Lambda."""


class FileInUse(RelayError, status=409, code="file_in_use", retry=False):
    """A batch that has not ended reads its rows from the file."""


class BatchNotCancellable(RelayError, status=409, code="batch_not_cancellable", retry=False):
    """The batch has ended, or is about to."""


class BatchesUnavailable(RelayError, status=503, code="batches_unavailable"):
    """DynamoDB, S3 or Step Functions does not answer."""


class ResponseNotFound(RelayError, status=404, code="response_not_found"):
    """The caller has no background response of that id."""


class BackgroundUnavailable(RelayError, status=503, code="background_unavailable"):
    """A background response cannot be stored or queued; nothing was sent."""


# Raised after a request was sent, these leave open whether the provider has done its work.
POSSIBLY_BILLED = (UpstreamFailed, UpstreamTimedOut, InternalError)


def most_relevant(errors: Sequence[RelayError]) -> RelayError:
    """Return the error to report: the first that a retry may resolve, else the first."""
    return next((each for each in errors if is_retryable(each.status)), errors[0])
