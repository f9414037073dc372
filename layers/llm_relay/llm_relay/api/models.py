"""GET /v1/models and /v1/models/{id}, from the providers' own lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from llm_relay.api.api_gateway import ApiRequest, handle_request, json_success
from llm_relay.api.relay import provider_router
from llm_relay.core.deadline import REPLY_RESERVE_SECONDS, Deadline
from llm_relay.providers.router import model_not_found

if TYPE_CHECKING:
    from llm_relay.core.answer import HttpAnswer
    from llm_relay.observability.call_record import CallRecord


def serve_models(request: ApiRequest, seconds: float) -> HttpAnswer:
    """Return the providers' models, or the one in the path: providers have no route for it."""
    deadline = Deadline.after(seconds - REPLY_RESERVE_SECONDS)

    def work(call: CallRecord) -> HttpAnswer:
        listing = provider_router().list_models(deadline, call.tracker)
        if not request.path_parameters:
            return json_success(call, listing)
        model_id = unquote(request.path_parameters.get("id") or "")
        return json_success(call, _model_in(listing, model_id))

    return handle_request(request, work)


def _model_in(listing: dict[str, Any], model_id: str) -> dict[str, Any]:
    for model in listing["data"]:
        if isinstance(model, dict) and model.get("id") == model_id:
            return model
    raise model_not_found(model_id)
