"""Turns a caller's bearer token into the usage-plan key that API Gateway checks and counts."""

from typing import Any

from llm_relay.api.authorizer import authorize


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Let API Gateway decide: it knows the keys, and this function knows none."""
    return authorize(event)
