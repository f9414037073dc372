"""GET /openapi.json: serves the API description."""

from pathlib import Path
from typing import Any

DOCUMENT = Path(__file__).with_name("openapi.json")


def handler(_event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Serve the OpenAPI description of every route."""
    return {
        "statusCode": 200,
        "headers": {"content-type": "application/json", "x-content-type-options": "nosniff"},
        "body": DOCUMENT.read_text("utf-8"),
    }
