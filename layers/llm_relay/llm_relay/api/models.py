"""GET /v1/models and /v1/models/{id}: what the provider lists, never a list of our own."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from llm_relay.api.relay import REPLY_RESERVE_SECONDS, handle_request, provider_router
from llm_relay.core.answer import HttpAnswer, json_answer
from llm_relay.core.deadline import Deadline
from llm_relay.providers.router import model_not_found

if TYPE_CHECKING:
    from llm_relay.api.api_gateway import ApiRequest
    from llm_relay.observability.call_record import CallRecord


def list_models(request: ApiRequest, seconds: float) -> HttpAnswer:
    """Answer with the provider's models."""
    return handle_request(request, lambda call: _ok(call, _listing(call, seconds)))


def retrieve_model(request: ApiRequest, seconds: float) -> HttpAnswer:
    """Answer with one model; the provider has no route of its own for that."""
    wanted = unquote(request.path_parameters.get("id") or "")
    return handle_request(request, lambda call: _ok(call, _model(wanted, _listing(call, seconds))))


def _listing(call: CallRecord, seconds: float) -> dict[str, Any]:
    deadline = Deadline.after(seconds - REPLY_RESERVE_SECONDS)
    return provider_router().list_models(deadline, call.tracker)


def _model(wanted: str, listing: dict[str, Any]) -> dict[str, Any]:
    for model in listing["data"]:
        if isinstance(model, dict) and model.get("id") == wanted:
            return model
    raise model_not_found(wanted)


def _ok(call: CallRecord, document: dict[str, Any]) -> HttpAnswer:
    call.mark_first_byte()
    call.finish(HTTPStatus.OK)
    return json_answer(HTTPStatus.OK, document, call.headers())
