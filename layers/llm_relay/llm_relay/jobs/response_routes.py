"""GET and DELETE /v1/responses/{id}, and POST /v1/responses/{id}/cancel."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from llm_relay.api.api_gateway import ApiRequest, client_of, handle_request, json_success
from llm_relay.batch.model.names import owner_id
from llm_relay.core.errors import ResponseNotFound
from llm_relay.jobs import response_store
from llm_relay.validation.fields import refuse

if TYPE_CHECKING:
    from llm_relay.core.answer import HttpAnswer
    from llm_relay.core.defaults import Document

    Find = Callable[[str, str], str | None]  # returns the status of an owner's response

_ID = re.compile(r"resp_[0-9a-f]{1,64}")


def serve_response(request: ApiRequest) -> HttpAnswer:
    """Return, cancel or delete one of the caller's background responses."""
    return handle_request(request, lambda call: json_success(call, _ROUTES[request.route](request)))


def _retrieve(request: ApiRequest) -> Document:
    if request.query.get("stream") == "true":
        refuse("stream", "is not possible here. Leave it out, and poll until the status is final.")
    return _document(request, response_store.find_status)


def _cancel(request: ApiRequest) -> Document:
    """Cancel: a call in progress is still charged, and its answer dropped."""
    return _document(request, response_store.cancel)


def _delete(request: ApiRequest) -> Document:
    owner, response_id, _ = _find(request, response_store.find_status)
    # The record first: without it, a call in progress stores no answer.
    response_store.delete_record(owner, response_id)
    response_store.delete_objects(owner, response_id)
    return {"id": response_id, "object": "response", "deleted": True}


def _document(request: ApiRequest, find: Find) -> Document:
    owner, response_id, status = _find(request, find)
    try:
        document = response_store.read_document(owner, response_id)
    except KeyError:  # deleted since the record was read
        raise _not_found(response_id) from None
    return response_store.shown_document(document, status)


def _find(request: ApiRequest, find: Find) -> tuple[str, str, str]:
    """Return the owner, the id and the status of the caller's response."""
    owner, response_id = owner_id(client_of(request)), request.path_parameters.get("id") or ""
    status = find(owner, response_id) if _ID.fullmatch(response_id) else None
    if status is None:
        raise _not_found(response_id)
    return owner, response_id, status


def _not_found(response_id: str) -> ResponseNotFound:
    return ResponseNotFound(
        f"You have no response {response_id!r:.100}. Only responses made with 'background' are "
        "stored, and only for a time.",
        param="id",
    )


_ROUTES = {
    "GET /v1/responses/{id}": _retrieve,
    "DELETE /v1/responses/{id}": _delete,
    "POST /v1/responses/{id}/cancel": _cancel,
}
