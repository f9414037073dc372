"""A request with an Idempotency-Key is answered once; its repeats are given the same answer."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from llm_relay.api.idempotency.put_if_absent import PutIfAbsentClient
from llm_relay.api.idempotency.stored_answer import (
    AnswerRecorder,
    RecordedBody,
    replayed_answer,
    stored_answer,
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
    from collections.abc import Callable

    from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer
    from aws_lambda_powertools.utilities.idempotency.persistence.datarecord import DataRecord

    from llm_relay.api.api_gateway import ApiRequest
    from llm_relay.api.idempotency.stored_answer import Document
    from llm_relay.core.answer import HttpAnswer

IDEMPOTENCY_HEADER = "idempotency-key"
_LONGEST_KEY = 255
# A record must not expire under a call on its way, which is killed after that at the latest.
_LONGEST_CALL_SECONDS = 900


def answer_once(request: ApiRequest, seconds: float, work: Callable[[], HttpAnswer]) -> HttpAnswer:
    """Do the work, or give its first answer again if the request's Idempotency-Key came before.

    A first call that is killed blocks its key for those seconds. Raises a RelayError for a
    key that is none, is in use, or came with another body, and if the first call failed.
    """
    if IDEMPOTENCY_HEADER not in request.headers:
        return work()
    record = IdempotencyRecord(request)
    document = record.begin(seconds)
    return replayed_answer(document) if document else _first_answer(record, work)


class IdempotencyRecord:
    """What DynamoDB knows of one client's Idempotency-Key on one route."""

    def __init__(self, request: ApiRequest) -> None:
        self._request_id = request.request_id
        key = [*_client_of(request), request.route, idempotency_key(request)]
        self._data = {"key": key, "body": hashlib.sha256(request.body()).hexdigest()}

    def begin(self, seconds: float) -> Document | None:
        """Return what is kept, or None if the call is ours to make within those seconds."""
        from aws_lambda_powertools.utilities.idempotency.exceptions import (  # noqa: PLC0415
            IdempotencyItemAlreadyExistsError,
            IdempotencyValidationError,
        )

        try:
            persistence_layer().save_inprogress(self._data, int(seconds * 1000))
        except IdempotencyItemAlreadyExistsError as found:
            return _document_in(found.old_data_record)
        except IdempotencyValidationError:
            raise IdempotencyKeyReused(
                "This Idempotency-Key came before, with another body. Use a key for one request "
                "alone, and send that byte for byte alike."
            ) from None
        except Exception as error:  # noqa: BLE001 - whatever it is, there is no guarantee
            log_internal_error(error, self._request_id)
            raise IdempotencyUnavailable(
                "The table that remembers Idempotency-Keys cannot be reached, and nothing was "
                "sent. Try again, or ask without the header if paying twice is no worry."
            ) from None
        return None

    def keep(self, document: Document) -> None:
        """Keep what repeats are to be told; if that fails, the key stays in use for its time."""
        self._attempt(lambda: persistence_layer().save_success(self._data, document))

    def forget(self, error: RelayError) -> None:
        """Let the key be used as if it had never come."""
        self._attempt(lambda: persistence_layer().delete_record(self._data, error))

    def _attempt(self, write: Callable[[], None]) -> None:
        try:
            write()
        except Exception as error:  # noqa: BLE001 - the answer has been paid for and goes out
            log_internal_error(error, self._request_id)


@lru_cache(maxsize=1)
def persistence_layer() -> DynamoDBPersistenceLayer:
    """Return Powertools' store of answers, made on first use: it brings boto3 with it."""
    from aws_lambda_powertools.utilities.idempotency import (  # noqa: PLC0415
        DynamoDBPersistenceLayer,
        IdempotencyConfig,
    )

    keep_seconds = int(os.environ.get("IDEMPOTENCY_SECONDS", "3600"))
    config = IdempotencyConfig(
        event_key_jmespath="key",
        payload_validation_jmespath="body",
        expires_after_seconds=max(keep_seconds, _LONGEST_CALL_SECONDS),
        hash_function="sha256",
    )
    client: Any = PutIfAbsentClient(dynamodb())
    table = DynamoDBPersistenceLayer(os.environ["ANSWERS_TABLE"], boto3_client=client)
    table.configure(config, key_prefix="answer")
    return table


def _first_answer(record: IdempotencyRecord, work: Callable[[], HttpAnswer]) -> HttpAnswer:
    try:
        answer = work()
    except POSSIBLY_BILLED as error:
        record.keep(stored_failure(error))
        raise
    except RelayError as error:
        record.forget(error)
        raise
    except Exception:
        why = "The relay itself failed. It may have been paid for, so it is not done again."
        record.keep(stored_failure(InternalError(why)))
        raise
    return _recorded(record, answer)


def _recorded(record: IdempotencyRecord, answer: HttpAnswer) -> HttpAnswer:
    def put_down(recording: AnswerRecorder | None) -> None:
        record.keep(stored_answer(answer, recording))

    if isinstance(answer.body, Iterator):
        return replace(answer, body=RecordedBody(answer.body, put_down))
    recording = AnswerRecorder()
    for piece in answer.body:
        recording.add(piece)
    put_down(recording)
    return answer


def _document_in(record: DataRecord | None) -> Document:
    if record is None or record.status != "COMPLETED":
        raise IdempotencyInProgress(
            "The first call with this Idempotency-Key is still under way. Ask again in a second.",
            headers={"retry-after": "1"},
        )
    document: dict[str, Any] = record.response_json_as_dict() or {}
    return document


def _client_of(request: ApiRequest) -> tuple[str, str]:
    # A client keeps its answers when its key is rotated.
    client = request.authorizer.get("client")
    return ("client", client) if client else ("key", request.api_key_id)


def idempotency_key(request: ApiRequest) -> str:
    """Return a request's Idempotency-Key; BadRequest for one that cannot be one."""
    key = request.headers[IDEMPOTENCY_HEADER]
    if not (0 < len(key) <= _LONGEST_KEY and key.isascii() and key.isprintable()):
        raise BadRequest(
            f"'Idempotency-Key' must be 1 to {_LONGEST_KEY} printable ASCII characters, such as a "
            "random UUID.",
            param="Idempotency-Key",
        )
    return key
