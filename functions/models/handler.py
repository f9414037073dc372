"""GET /v1/models and GET /v1/models/{id}."""

from typing import Any

from llm_relay.api.api_gateway import parse_event, proxy_result
from llm_relay.api.models import serve_models


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """List the providers' models, or return the one in the path."""
    seconds = context.get_remaining_time_in_millis() / 1000
    return proxy_result(serve_models(parse_event(event), seconds))
