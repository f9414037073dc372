"""GET /health."""

from typing import Any


def handler(_event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Say that the endpoint is there."""
    return {
        "statusCode": 200,
        "headers": {"content-type": "application/json"},
        "body": '{"status":"ok"}',
    }
