"""GET and DELETE /v1/responses/{id}, and POST /v1/responses/{id}/cancel."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from llm_relay.api.client_context import client_of
from llm_relay.api.request_handling import handle_request, json_success
from llm_relay.core.errors import BadRequest, ResponseNotFound
from llm_relay.jobs.background_relay import owner_id
from llm_relay.jobs.response_store import (
    BackgroundResponse,
    cancel_response,
    delete_objects,
    delete_record,
    find_response,
    read_document,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from llm_relay.api.api_gateway import ApiRequest
    from llm_relay.core.answer import HttpAnswer
    from llm_relay.core.defaults import Document
    from llm_relay.observability.call_record import CallRecord

_ID = re.compile(r"resp_[0-9a-f]{1,64}")


def serve_response(request: ApiRequest) -> HttpAnswer:
    """Return, cancel or delete one of the caller's background responses."""

    def work(call: CallRecord) -> HttpAnswer:
        return json_success(call, _HANDLERS[request.route](request))

    return handle_request(request, work)


def _retrieve(request: ApiRequest) -> Document:
    if request.query.get("stream") == "true":
        raise BadRequest(
            "A background response cannot be streamed here. Leave 'stream' out and poll "
            "until its status is neither 'queued' nor 'in_progress'.",
            param="stream",
        )
    return _to_document(_find(request, find_response))


def _cancel(request: ApiRequest) -> Document:
    """Cancel: a call in progress is still charged, and its answer dropped."""
    return _to_document(_find(request, cancel_response))


def _delete(request: ApiRequest) -> Document:
    response = _find(request, find_response)
    # The record first: without it, a call in progress stores no answer.
    delete_record(response.owner, response.id)
    delete_objects(response.owner, response.id)
    return {"id": response.id, "object": "response", "deleted": True}


_HANDLERS = {
    "GET /v1/responses/{id}": _retrieve,
    "DELETE /v1/responses/{id}": _delete,
    "POST /v1/responses/{id}/cancel": _cancel,
}


def _find(
    request: ApiRequest, find: Callable[[str, str], BackgroundResponse | None]
) -> BackgroundResponse:
    response_id = request.path_parameters.get("id") or ""
    is_valid = _ID.fullmatch(response_id)
    response = find(owner_id(client_of(request)), response_id) if is_valid else None
    if response is None:
        raise _not_found(response_id)
    return response


def _not_found(response_id: str) -> ResponseNotFound:
    return ResponseNotFound(
        f"You have no response {response_id!r:.100}. Only responses made with 'background' are "
        "stored, and only for a time.",
        param="id",
    )


def _to_document(response: BackgroundResponse) -> Document:
    try:
        document = read_document(response.owner, response.id)
    except KeyError:  # deleted since the record was read
        raise _not_found(response.id) from None
    return response.to_document(document)
