"""GET and DELETE /v1/responses/{id}, and POST /v1/responses/{id}/cancel."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from llm_relay.api.client_context import client_of
from llm_relay.api.request_handling import handle_request, json_success
from llm_relay.core.errors import ResponseNotFound
from llm_relay.jobs import response_store
from llm_relay.jobs.background_relay import owner_id
from llm_relay.validation.fields import refuse

if TYPE_CHECKING:
    from llm_relay.api.api_gateway import ApiRequest
    from llm_relay.core.answer import HttpAnswer
    from llm_relay.core.defaults import Document
    from llm_relay.jobs.response_store import BackgroundResponse
    from llm_relay.observability.call_record import CallRecord

_ID = re.compile(r"resp_[0-9a-f]{1,64}")


def serve_response(request: ApiRequest) -> HttpAnswer:
    """Return, cancel or delete one of the caller's background responses."""

    def work(call: CallRecord) -> HttpAnswer:
        return json_success(call, _HANDLERS[request.route](request))

    return handle_request(request, work)


def _retrieve(request: ApiRequest) -> Document:
    if request.query.get("stream") == "true":
        refuse("stream", "is not possible here. Leave it out, and poll until the status is final.")
    return _to_document(_find(request, response_store.find))


def _cancel(request: ApiRequest) -> Document:
    """Cancel: a call in progress is still charged, and its answer dropped."""
    return _to_document(_find(request, response_store.cancel))


def _delete(request: ApiRequest) -> Document:
    response = _find(request, response_store.find)
    # The record first: without it, a call in progress stores no answer.
    response_store.delete_record(response.owner, response.id)
    response_store.delete_objects(response.owner, response.id)
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
        document = response_store.read_document(response.owner, response.id)
    except KeyError:  # deleted since the record was read
        raise _not_found(response.id) from None
    return response.to_document(document)
