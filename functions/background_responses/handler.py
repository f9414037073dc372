"""GET and DELETE /v1/responses/{id}, and POST /v1/responses/{id}/cancel."""

from typing import Any

from llm_relay.api.api_gateway import parse_event, proxy_result
from llm_relay.jobs.response_routes import serve_response


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Return, cancel or delete a background response."""
    return proxy_result(serve_response(parse_event(event)))
