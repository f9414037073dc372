"""POST and GET /v1/batches, GET /v1/batches/{id}, POST /v1/batches/{id}/cancel."""

from typing import Any

from llm_relay.api.api_gateway import parse_event, proxy_result
from llm_relay.batch.api.batches import serve_batches


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Create, list, return or cancel batches of the calling client."""
    return proxy_result(serve_batches(parse_event(event)))
