"""What the routes of files and batches have in common."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from llm_relay.api.relay import handle_request
from llm_relay.core.answer import HttpAnswer, json_answer
from llm_relay.core.error_log import log_internal_error
from llm_relay.core.errors import BatchesUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from llm_relay.api.api_gateway import ApiRequest
    from llm_relay.batch.api.pagination import Document
    from llm_relay.core.client import Client
    from llm_relay.observability.call_record import CallRecord

    Route = Callable[[ApiRequest], Document | HttpAnswer]


def serve(routes: Mapping[str, Route], request: ApiRequest) -> HttpAnswer:
    """Answer a request with the document that its route returns."""
    return handle_request(request, lambda call: _told(call, _shown(routes, request)))


def owner_id(client: Client) -> str:
    """Return whom a client's files and batches belong to."""
    return client.id or client.key_id


def _shown(routes: Mapping[str, Route], request: ApiRequest) -> Document | HttpAnswer:
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
            "Files and batches cannot be reached now. Try again in a moment; if it lasts, tell "
            "whoever runs this endpoint that AWS refuses it: its log has the request id."
        ) from None


def _told(call: CallRecord, shown: Document | HttpAnswer) -> HttpAnswer:
    call.mark_first_byte()
    if isinstance(shown, HttpAnswer):
        call.finish(shown.status)
        headers = {**call.headers(), **shown.headers}
        return HttpAnswer(status=shown.status, headers=headers, body=shown.body)
    call.finish(HTTPStatus.OK)
    return json_answer(HTTPStatus.OK, shown, call.headers())
