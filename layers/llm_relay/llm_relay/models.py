"""GET /v1/models and /v1/models/{id}: what the provider lists, never a list of our own."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from llm_relay.answer import Answer, json_answer
from llm_relay.deadline import Deadline
from llm_relay.errors import ModelNotFound, UpstreamBroke
from llm_relay.relay import ANSWER_SECONDS, answer_in, answered, provider
from llm_relay.upstream import UpstreamRequest

if TYPE_CHECKING:
    from llm_relay.api_gateway import ApiRequest
    from llm_relay.telemetry import Call

CACHE_SECONDS = 60.0

_cached: tuple[float, dict[str, Any]] | None = None


def list_models(request: ApiRequest, seconds: float) -> Answer:
    """Answer with the provider's models."""
    return answered(request, lambda call: _ok(call, _listing(call, seconds)))


def retrieve_model(request: ApiRequest, seconds: float) -> Answer:
    """Answer with one model; the provider has no route of its own for that."""
    wanted = unquote(request.path_parameters.get("id", ""))
    return answered(request, lambda call: _ok(call, _model(wanted, _listing(call, seconds))))


def forget() -> None:
    """Let the next call ask the provider afresh."""
    global _cached  # noqa: PLW0603
    _cached = None


def _ok(call: Call, document: dict[str, Any]) -> Answer:
    call.note_first_byte()
    call.finish(HTTPStatus.OK)
    return json_answer(HTTPStatus.OK, document, call.headers())


def _model(wanted: str, listing: dict[str, Any]) -> dict[str, Any]:
    for model in listing["data"]:
        if isinstance(model, dict) and model.get("id") == wanted:
            return model
    raise ModelNotFound(
        f"The provider has no model {wanted!r:.100}. GET /v1/models lists what there is.",
        param="model",
    )


def _listing(call: Call, seconds: float) -> dict[str, Any]:
    global _cached  # noqa: PLW0603 - one list per environment
    if _cached is None or time.monotonic() - _cached[0] > CACHE_SECONDS:
        _cached = time.monotonic(), _fetch(call, seconds)
    return _cached[1]


def _fetch(call: Call, seconds: float) -> dict[str, Any]:
    deadline = Deadline.after(seconds - ANSWER_SECONDS)
    request = UpstreamRequest(method="GET", path="/models")
    reply = provider().call(request, deadline, call.effort)
    try:
        listing = answer_in(call.effort.waiting_for(lambda: reply.whole(deadline)))
    finally:
        reply.close()
    if not isinstance(listing.get("data"), list):
        raise UpstreamBroke("The provider's list of models is not one.")
    return listing
