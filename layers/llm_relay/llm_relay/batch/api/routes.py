"""Serves the routes of files and batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import unquote

from llm_relay.api.api_gateway import ApiRequest
from llm_relay.api.client_context import client_of
from llm_relay.api.request_handling import handle_request, json_success
from llm_relay.batch.model.record import Document
from llm_relay.core.answer import HttpAnswer
from llm_relay.core.error_log import log_internal_error
from llm_relay.core.errors import BatchesUnavailable

if TYPE_CHECKING:
    from llm_relay.observability.call_record import CallRecord

Route = Callable[[ApiRequest], Document | HttpAnswer]


def serve(routes: Mapping[str, Route], request: ApiRequest) -> HttpAnswer:
    """Answer a request with what its route returns."""
    return handle_request(request, lambda call: _answer(call, _call_route(routes, request)))


def owner_id(request: ApiRequest) -> str:
    """Return the owner under which the caller's files and batches are stored."""
    client = client_of(request)
    return client.id or client.key_id


def path_id(request: ApiRequest) -> str:
    """Return the id in the path."""
    return unquote(request.path_parameters.get("id") or "")


def _call_route(routes: Mapping[str, Route], request: ApiRequest) -> Document | HttpAnswer:
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - late, as boto3

    try:
        return routes[request.route](request)
    except BatchesUnavailable as error:
        if isinstance(error.__cause__, Exception):
            log_internal_error(error.__cause__, request.request_id)
        raise
    except (BotoCoreError, ClientError) as error:
        log_internal_error(error, request.request_id)
        raise BatchesUnavailable(
            "Files and batches are unavailable. Try again in a moment; if it lasts, tell the "
            "operator that a call of AWS fails: the log has the request id."
        ) from None


def _answer(call: CallRecord, result: Document | HttpAnswer) -> HttpAnswer:
    if not isinstance(result, HttpAnswer):
        return json_success(call, result)
    call.mark_first_byte()
    call.finish(result.status)
    headers = {**call.headers(), **result.headers}
    return HttpAnswer(status=result.status, headers=headers, body=result.body)
