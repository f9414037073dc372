"""GET /v1/models and GET /v1/models/{id}."""

from typing import Any

from llm_relay.api.api_gateway import parse_event, proxy_result
from llm_relay.api.models import list_models, retrieve_model


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """List the providers' models, or return the one in the path."""
    request = parse_event(event)
    work = retrieve_model if request.path_parameters else list_models
    return proxy_result(work(request, context.get_remaining_time_in_millis() / 1000))
