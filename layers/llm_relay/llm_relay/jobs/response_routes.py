"""GET and DELETE /v1/responses/{id}, and POST /v1/responses/{id}/cancel."""

from __future__ import annotations

import json
import os
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from llm_relay.api.client_context import client_of
from llm_relay.api.relay import handle_request
from llm_relay.aws.s3 import Bucket
from llm_relay.core.answer import HttpAnswer, json_answer
from llm_relay.core.errors import BadRequest, ResponseNotFound
from llm_relay.jobs.background_relay import owner_of
from llm_relay.jobs.record import BackgroundResponse, answer_key, records
from llm_relay.jobs.response_task import forget_response

if TYPE_CHECKING:
    from llm_relay.api.api_gateway import ApiRequest
    from llm_relay.observability.call_record import CallRecord

_ID = re.compile(r"resp_[0-9a-f]{1,64}")

Document = dict[str, Any]


def serve_response(request: ApiRequest) -> HttpAnswer:
    """Show, cancel or delete a background response of the caller's."""

    def work(call: CallRecord) -> HttpAnswer:
        document = _WORK[request.route](request)
        call.mark_first_byte()
        call.finish(HTTPStatus.OK)
        return json_answer(HTTPStatus.OK, document, call.headers())

    return handle_request(request, work)


def _retrieve(request: ApiRequest) -> Document:
    if request.query.get("stream") == "true":
        raise BadRequest(
            "A background response cannot be streamed here. Leave 'stream' out and ask again "
            "until its status is neither 'queued' nor 'in_progress'.",
            param="stream",
        )
    return _shown(_found(request, records().get(*_owner_and_id(request))))


def _cancel(request: ApiRequest) -> Document:
    """Cancel: a call under way is charged for all the same, and its answer dropped."""
    return _shown(_found(request, records().cancel(*_owner_and_id(request))))


def _delete(request: ApiRequest) -> Document:
    response = _found(request, records().get(*_owner_and_id(request)))
    # The record first: what is not there is not put down any more by a call under way.
    records().delete(response.owner, response.id)
    forget_response(_bucket(), response.owner, response.id)
    return {"id": response.id, "object": "response", "deleted": True}


_WORK = {
    "GET /v1/responses/{id}": _retrieve,
    "DELETE /v1/responses/{id}": _delete,
    "POST /v1/responses/{id}/cancel": _cancel,
}


def _owner_and_id(request: ApiRequest) -> tuple[str, str]:
    wanted = request.path_parameters.get("id") or ""
    if not _ID.fullmatch(wanted):
        raise _unknown(wanted)
    return owner_of(client_of(request)), wanted


def _found(request: ApiRequest, response: BackgroundResponse | None) -> BackgroundResponse:
    if response is None:
        raise _unknown(request.path_parameters.get("id") or "")
    return response


def _unknown(wanted: str) -> ResponseNotFound:
    return ResponseNotFound(
        f"You have no response {wanted!r:.100}. Those made with 'background' are kept, and only "
        "for a time.",
        param="id",
    )


def _shown(response: BackgroundResponse) -> Document:
    try:
        text = _bucket().get(answer_key(response.owner, response.id))
    except KeyError:  # deleted between two looks
        raise _unknown(response.id) from None
    return response.shown(json.loads(text))


def _bucket() -> Bucket:
    return Bucket(os.environ["BATCH_BUCKET"])
