"""Handles one request: any failure becomes an answer, and the call is recorded once."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from llm_relay.core.answer import HttpAnswer, error_answer, json_answer
from llm_relay.core.error_log import log_internal_error
from llm_relay.core.errors import POSSIBLY_BILLED, InternalError, RelayError
from llm_relay.observability.call_record import CallRecord

if TYPE_CHECKING:
    from llm_relay.api.api_gateway import ApiRequest


def handle_request(request: ApiRequest, work: Callable[[CallRecord], HttpAnswer]) -> HttpAnswer:
    """Return the answer of `work`, which finishes the record, or the answer to its failure."""
    call = CallRecord(route=request.route, request_id=request.request_id, client=request.api_key_id)
    try:
        return work(call)
    except RelayError as error:
        failure = error
    except Exception as error:  # noqa: BLE001 - the runtime would print it, prompt included
        log_internal_error(error, call.request_id)
        failure = InternalError("The relay itself failed. Its log has the request id.")
    call.tracker.provider = failure.provider or call.tracker.provider
    possibly_billed = call.tracker.attempts > 0 and isinstance(failure, POSSIBLY_BILLED)
    call.finish(failure.status, failure.code, failure=failure, possibly_billed=possibly_billed)
    return error_answer(failure, call.headers())


def json_success(call: CallRecord, document: Any) -> HttpAnswer:
    """Finish the record and return a JSON answer with status 200."""
    call.mark_first_byte()
    call.finish(HTTPStatus.OK)
    return json_answer(HTTPStatus.OK, document, call.headers())
