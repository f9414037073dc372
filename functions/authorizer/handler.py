"""Authorizes a bearer token as the usage-plan key that API Gateway checks and counts."""

from typing import Any

from llm_relay.api.authorizer import authorize


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Return the policy and the usage plan key; API Gateway checks the key itself."""
    return authorize(event)
