"""GET /health: reports that the endpoint is up."""

from typing import Any


def handler(_event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Report that the endpoint is up."""
    return {
        "statusCode": 200,
        "headers": {"content-type": "application/json"},
        "body": '{"status":"ok"}',
    }
