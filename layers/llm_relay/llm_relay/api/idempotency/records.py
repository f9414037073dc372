"""Answers a request with an Idempotency-Key once, and its repeats with the stored answer."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from llm_relay.api.idempotency.stored_answer import (
    RecordedBody,
    StoredAnswer,
    replayed_answer,
    stored_failure,
)
from llm_relay.aws.dynamodb import dynamodb
from llm_relay.core.error_log import log_internal_error
from llm_relay.core.errors import (
    POSSIBLY_BILLED,
    BadRequest,
    IdempotencyInProgress,
    IdempotencyKeyReused,
    IdempotencyUnavailable,
    InternalError,
    RelayError,
)

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer
    from aws_lambda_powertools.utilities.idempotency.persistence.datarecord import DataRecord

    from llm_relay.api.api_gateway import ApiRequest
    from llm_relay.core.answer import HttpAnswer

IDEMPOTENCY_HEADER = "idempotency-key"
_MAX_KEY_LENGTH = 255
# A record must not expire during its call; Lambda ends the call by then.
_MAX_CALL_SECONDS = 900


def answer_once(request: ApiRequest, seconds: float, work: Callable[[], HttpAnswer]) -> HttpAnswer:
    """Do the work, or replay the stored answer if the request's Idempotency-Key was used before.

    A first call that is killed blocks its key for those seconds. Raises a RelayError for an
    invalid key, one in use or used with another body, and if the first call failed.
    """
    if IDEMPOTENCY_HEADER not in request.headers:
        return work()
    record = _Record(request)
    stored = record.begin(seconds)
    return replayed_answer(stored) if stored else _first_answer(record, work)


class _Record:
    """The record of one client's Idempotency-Key on one route."""

    def __init__(self, request: ApiRequest) -> None:
        self._request_id = request.request_id
        client = request.authorizer.get("client")  # it stays the same when its key is rotated
        owner = ("client", client) if client else ("key", request.api_key_id)
        key = [*owner, request.route, idempotency_key(request)]
        self._data = {"key": key, "body": hashlib.sha256(request.body()).hexdigest()}

    def begin(self, seconds: float) -> StoredAnswer | None:
        """Return the stored answer; None if the caller is to make the call within those seconds."""
        from aws_lambda_powertools.utilities.idempotency import exceptions  # noqa: PLC0415

        try:
            persistence_layer().save_inprogress(self._data, int(seconds * 1000))
        except exceptions.IdempotencyItemAlreadyExistsError as found:
            return _stored_in(found.old_data_record)
        except exceptions.IdempotencyValidationError:
            raise IdempotencyKeyReused(
                "This Idempotency-Key was used with another body. Use a new key for each request; "
                "repeat a request byte for byte."
            ) from None
        except Exception as error:  # noqa: BLE001 - without the record there is no guarantee
            log_internal_error(error, self._request_id)
            raise IdempotencyUnavailable(
                "The Idempotency-Key could not be checked, and nothing was sent. Try again, or "
                "leave the header out if being billed twice is acceptable."
            ) from None
        return None

    def save(self, stored: StoredAnswer) -> None:
        """Store the answer for repeats; if that fails, the key stays in use until it expires."""
        self._log_failure(lambda: persistence_layer().save_success(self._data, stored))

    def delete(self, error: RelayError) -> None:
        """Delete the record, so that the key can be used again."""
        self._log_failure(lambda: persistence_layer().delete_record(self._data, error))

    def _log_failure(self, write: Callable[[], None]) -> None:
        try:
            write()
        except Exception as error:  # noqa: BLE001 - the answer was billed and must be returned
            log_internal_error(error, self._request_id)


@lru_cache(maxsize=1)
def persistence_layer() -> DynamoDBPersistenceLayer:
    """Return Powertools' store of answers, made on first use: it imports boto3."""
    from aws_lambda_powertools.utilities.idempotency import (  # noqa: PLC0415
        DynamoDBPersistenceLayer,
        IdempotencyConfig,
    )

    expiry_seconds = int(os.environ.get("IDEMPOTENCY_SECONDS", "3600"))
    config = IdempotencyConfig(
        event_key_jmespath="key",
        payload_validation_jmespath="body",
        expires_after_seconds=max(expiry_seconds, _MAX_CALL_SECONDS),
        hash_function="sha256",
    )
    client: Any = _PutIfAbsentClient(dynamodb())
    layer = DynamoDBPersistenceLayer(os.environ["ANSWERS_TABLE"], boto3_client=client)
    layer.configure(config, key_prefix="answer")
    return layer


class _PutIfAbsentClient:
    """A DynamoDB client whose repeated conditional puts recognize their own record.

    If the reply to a put is lost, the SDK repeats it, and the condition fails on the first one.
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def put_item(self, Item: dict[str, Any], **more: Any) -> None:  # noqa: N803 - boto3's name
        mark = {"maker": {"S": secrets.token_hex(8)}}
        try:
            self._client.put_item(Item=Item | mark, **more)
        except self._client.exceptions.ConditionalCheckFailedException as error:
            if not error.response.get("Item", {}).items() >= mark.items():
                raise


def idempotency_key(request: ApiRequest) -> str:
    """Return the request's Idempotency-Key; BadRequest if it is invalid."""
    key = request.headers[IDEMPOTENCY_HEADER]
    if not (0 < len(key) <= _MAX_KEY_LENGTH and key.isascii() and key.isprintable()):
        raise BadRequest(
            f"'Idempotency-Key' must be 1 to {_MAX_KEY_LENGTH} printable ASCII characters, such as "
            "a random UUID.",
            param="Idempotency-Key",
        )
    return key


def _first_answer(record: _Record, work: Callable[[], HttpAnswer]) -> HttpAnswer:
    try:
        answer = work()
    except POSSIBLY_BILLED as error:
        record.save(stored_failure(error))
        raise
    except RelayError as error:
        record.delete(error)
        raise
    except Exception:
        why = "The relay itself failed. The call may have been billed, so it is not repeated."
        record.save(stored_failure(InternalError(why)))
        raise
    body = RecordedBody(answer, record.save)
    if isinstance(answer.body, Iterator):
        return replace(answer, body=body)
    b"".join(body)  # a body that can be read again is recorded at once
    return answer


def _stored_in(record: DataRecord | None) -> StoredAnswer:
    if record is None or record.status != "COMPLETED":
        raise IdempotencyInProgress(
            "The first call with this Idempotency-Key is still in progress. Retry in a second.",
            headers={"retry-after": "1"},
        )
    stored: StoredAnswer = record.response_json_as_dict() or {}
    return stored
