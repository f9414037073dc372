"""Everything that can go wrong, and what the caller is told of it.

RelayError
├── BadRequest             400  the request cannot be relayed; nothing was sent
├── ModelNotFound          404  the provider lists no such model
├── ProviderRefused        any  the provider's own error, passed on
├── ProviderKeyMissing     503  no key is stored
├── ProviderKeyRejected    502  the stored key is not accepted
├── UpstreamUnreachable    502  no connection; nothing was sent
├── OutOfTime              504  no time is left to ask; nothing was sent
├── UpstreamBroke          502  the answer never came whole, but may have been paid for
├── UpstreamTimedOut       504  likewise, for want of time
├── FailedBefore           any  the first call under the same Idempotency-Key failed
├── IdempotencyKeyReused   409  the same Idempotency-Key came with another body
├── IdempotencyInProgress  409  the first call under the same Idempotency-Key is under way
├── AnswerTooLarge         409  the first answer was too large to be kept
├── AnswerIncomplete       409  the first answer was left before its end
├── IdempotencyUnavailable 503  DynamoDB is away; nothing was sent
├── ModelNotAllowed        403  the client may not use this model
├── ModelUnpriced          402  a client with a budget asked for a model without a price
├── PricesUnavailable      503  the same client's call, while the provider's list is away
├── BudgetExceeded         402  the call might cost more than the client's budget has left
├── LedgerUnavailable      503  budgets cannot be told now; nothing was sent
├── NoClient               404  the caller's key belongs to no client
├── FileNotFound           404  the caller has no file of that id
├── BatchNotFound          404  the caller has no batch of that id
├── FileTooLarge           413  the file is larger than a Lambda function is handed
├── FileInUse              409  a batch that has not ended reads its rows from the file
├── BatchNotCancellable    409  the batch has ended otherwise, or is about to
├── BatchesUnavailable     503  DynamoDB, S3 or Step Functions is away
├── ResponseNotFound       404  the caller has no background response of that id
├── BackgroundUnavailable  503  a response could not be queued; nothing was sent
└── InternalError          500  our own mistake
"""

from __future__ import annotations

from enum import Enum
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar

from llm_relay.core.http_status import is_retryable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


_LONGEST_CODE = 100


class Fault(Enum):
    """Who has to do something about a failure."""

    CALLER = "caller"
    RELAY = "relay"  # whoever runs it
    PROVIDER = "provider"


class RelayError(Exception):
    """A failure with an HTTP status, told in OpenAI's error shape."""

    status: int = HTTPStatus.INTERNAL_SERVER_ERROR
    kind: ClassVar[str] = "server_error"
    code: ClassVar[str | None] = None
    # The official SDKs ask again by themselves unless the answer says not to.
    may_be_asked_again: ClassVar[bool] = True
    blamed: ClassVar[Fault | None] = None  # where the status does not tell whose fault it is
    provider: str | None = None  # whose failure it is, where there are several

    def __init__(
        self, message: str, *, param: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self._headers = dict(headers or {})

    def body(self) -> dict[str, Any]:
        """Return OpenAI's error object."""
        error = {
            "message": self.message,
            "type": self.kind,
            "param": self.param,
            "code": self.code,
        }
        return {"error": error}

    @property
    def fault(self) -> Fault:
        """Whose fault it is, as the metrics count it."""
        is_server_error = self.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        return self.blamed or (Fault.RELAY if is_server_error else Fault.CALLER)

    @property
    def log_code(self) -> str | None:
        """The code to log this failure under."""
        return self.code

    def headers(self) -> dict[str, str]:
        """Return the headers that belong to this failure."""
        refusal = {} if self.may_be_asked_again else {"x-should-retry": "false"}
        source = {"x-relay-provider": self.provider} if self.provider else {}
        return self._headers | refusal | source


class BadRequest(RelayError):
    """The caller's request cannot be relayed; the provider was not called."""

    status = HTTPStatus.BAD_REQUEST
    kind = "invalid_request_error"
    code = "invalid_request"


class ModelNotFound(RelayError):
    """The provider lists no model of that name."""

    status = HTTPStatus.NOT_FOUND
    kind = "invalid_request_error"
    code = "model_not_found"


class ProviderRefused(RelayError):
    """The provider answered with an error of its own, which passes on as it is."""

    def __init__(self, status: int, error: dict[str, Any], headers: Mapping[str, str]) -> None:
        super().__init__(str(error.get("message")), headers=headers)
        self.status = status
        self._error = error

    def body(self) -> dict[str, Any]:
        """Return the provider's error object."""
        return {"error": self._error}

    @property
    def fault(self) -> Fault:
        """The provider's if it may pass or the credits with it are used up, else the caller's."""
        is_its_own = self.status == HTTPStatus.PAYMENT_REQUIRED or is_retryable(self.status)
        return Fault.PROVIDER if is_its_own else Fault.CALLER

    @property
    def log_code(self) -> str | None:
        """The provider's code for this error, if it named one."""
        code = self._error.get("code")
        return code[:_LONGEST_CODE] if isinstance(code, str) else None


class ProviderKeyMissing(RelayError):
    """There is no provider key to call with."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "provider_key_missing"


class ProviderKeyRejected(RelayError):
    """The provider does not accept the stored key; the caller's own key was fine."""

    status = HTTPStatus.BAD_GATEWAY
    code = "provider_key_rejected"


class UpstreamUnreachable(RelayError):
    """No connection to the provider; nothing was sent."""

    status = HTTPStatus.BAD_GATEWAY
    code = "upstream_unreachable"
    blamed = Fault.PROVIDER


class DeadlineExceeded(RelayError):
    """There is no time left to ask the provider in; nothing was sent."""

    status = HTTPStatus.GATEWAY_TIMEOUT
    code = "upstream_timeout"
    blamed = Fault.PROVIDER


class UpstreamFailed(RelayError):
    """The provider took the request and failed to answer it whole."""

    status = HTTPStatus.BAD_GATEWAY
    code = "upstream_error"
    blamed = Fault.PROVIDER
    may_be_asked_again = False


class UpstreamTimedOut(RelayError):
    """The provider was too slow; it may have answered all the same."""

    status = HTTPStatus.GATEWAY_TIMEOUT
    code = "upstream_timeout"
    blamed = Fault.PROVIDER
    may_be_asked_again = False


class InternalError(RelayError):
    """The relay itself is at fault."""

    code = "internal_error"
    may_be_asked_again = False


class ReplayedFailure(ProviderRefused):
    """The failure that the first call under an Idempotency-Key ended in, told again."""


class IdempotencyKeyReused(RelayError):
    """An Idempotency-Key came again with another body."""

    status = HTTPStatus.CONFLICT
    kind = "invalid_request_error"
    code = "idempotency_key_reused"
    may_be_asked_again = False


class IdempotencyInProgress(RelayError):
    """The first call under an Idempotency-Key is not over yet."""

    status = HTTPStatus.CONFLICT
    kind = "invalid_request_error"
    code = "idempotency_in_progress"


class AnswerTooLarge(RelayError):
    """The first answer under an Idempotency-Key was too large to be kept."""

    status = HTTPStatus.CONFLICT
    kind = "invalid_request_error"
    code = "answer_too_large_to_replay"
    may_be_asked_again = False


class AnswerIncomplete(RelayError):
    """The first answer under an Idempotency-Key was left before its end."""

    status = HTTPStatus.CONFLICT
    kind = "invalid_request_error"
    code = "answer_incomplete"
    may_be_asked_again = False


class IdempotencyUnavailable(RelayError):
    """Nobody can say whether a request came before; nothing was sent."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "idempotency_unavailable"


class ModelNotAllowed(RelayError):
    """The client's key is good for other models."""

    status = HTTPStatus.FORBIDDEN
    kind = "permission_error"
    code = "model_not_allowed"


class ModelUnpriced(RelayError):
    """Nobody can say what the call might cost, and the client has a budget."""

    status = HTTPStatus.PAYMENT_REQUIRED
    kind = "invalid_request_error"
    code = "model_unpriced"
    may_be_asked_again = False


class PricesUnavailable(RelayError):
    """Nobody can say now what the call might cost, and the client has a budget."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "prices_unavailable"
    blamed = Fault.PROVIDER


class BudgetExceeded(RelayError):
    """The call might cost more than the client's budget has left."""

    status = HTTPStatus.PAYMENT_REQUIRED
    kind = "insufficient_quota"
    code = "budget_exceeded"
    may_be_asked_again = False


class LedgerUnavailable(RelayError):
    """The client's budget cannot be told now; the provider was not called."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "budget_unavailable"


class ClientNotFound(RelayError):
    """The caller's key belongs to no client, so there is no account of what it used."""

    status = HTTPStatus.NOT_FOUND
    kind = "invalid_request_error"
    code = "no_client"


class FileNotFound(RelayError):
    """The caller has no file of that id, or not any more."""

    status = HTTPStatus.NOT_FOUND
    kind = "invalid_request_error"
    code = "file_not_found"


class BatchNotFound(RelayError):
    """The caller has no batch of that id."""

    status = HTTPStatus.NOT_FOUND
    kind = "invalid_request_error"
    code = "batch_not_found"


class FileTooLarge(RelayError):
    """A file is too large to come through API Gateway and Lambda."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    kind = "invalid_request_error"
    code = "file_too_large"


class FileInUse(RelayError):
    """A batch that has not ended reads its rows from the file."""

    status = HTTPStatus.CONFLICT
    kind = "invalid_request_error"
    code = "file_in_use"
    may_be_asked_again = False


class BatchNotCancellable(RelayError):
    """A batch has ended otherwise than by being cancelled, or is about to."""

    status = HTTPStatus.CONFLICT
    kind = "invalid_request_error"
    code = "batch_not_cancellable"
    may_be_asked_again = False


class BatchesUnavailable(RelayError):
    """What keeps files and runs batches does not answer."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "batches_unavailable"


class ResponseNotFound(RelayError):
    """The caller has no background response of that id, or not any more."""

    status = HTTPStatus.NOT_FOUND
    kind = "invalid_request_error"
    code = "response_not_found"


class BackgroundUnavailable(RelayError):
    """What keeps and queues background responses does not answer."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "background_unavailable"


def most_relevant(refusals: Sequence[RelayError]) -> RelayError:
    """Return the refusal to tell of: the first that may pass, as it leaves hope, or the first."""
    return next((each for each in refusals if is_retryable(each.status)), refusals[0])


# Once something was sent, the provider may have done its work before one of these.
POSSIBLY_BILLED = (UpstreamFailed, UpstreamTimedOut, InternalError)
