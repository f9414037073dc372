"""GET /v1/models and /v1/models/{id}, from the providers' own lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from llm_relay.api.relay import REPLY_RESERVE_SECONDS, provider_router
from llm_relay.api.request_handling import handle_request, json_success
from llm_relay.core.deadline import Deadline
from llm_relay.providers.router import model_not_found

if TYPE_CHECKING:
    from llm_relay.api.api_gateway import ApiRequest
    from llm_relay.core.answer import HttpAnswer
    from llm_relay.observability.call_record import CallRecord


def list_models(request: ApiRequest, seconds: float) -> HttpAnswer:
    """Return the models of the providers."""
    return handle_request(request, lambda call: json_success(call, _listing(call, seconds)))


def retrieve_model(request: ApiRequest, seconds: float) -> HttpAnswer:
    """Return one model of the list: the provider has no route for a single model."""
    model_id = unquote(request.path_parameters.get("id") or "")
    return handle_request(
        request, lambda call: json_success(call, _model(model_id, _listing(call, seconds)))
    )


def _listing(call: CallRecord, seconds: float) -> dict[str, Any]:
    deadline = Deadline.after(seconds - REPLY_RESERVE_SECONDS)
    return provider_router().list_models(deadline, call.tracker)


def _model(model_id: str, listing: dict[str, Any]) -> dict[str, Any]:
    for model in listing["data"]:
        if isinstance(model, dict) and model.get("id") == model_id:
            return model
    raise model_not_found(model_id)
