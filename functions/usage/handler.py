"""GET /v1/usage."""

from typing import Any

from llm_relay.api.api_gateway import parse_event, proxy_result
from llm_relay.api.usage_report import show_usage


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Return the calling client's usage, and what is left of its budget."""
    return proxy_result(show_usage(parse_event(event)))
