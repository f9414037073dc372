"""POST and GET /v1/files, GET and DELETE /v1/files/{id}, GET /v1/files/{id}/content."""

from typing import Any

from llm_relay.api.api_gateway import parse_event, proxy_result
from llm_relay.batch.api.files import serve_files


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Create, list, return or delete files of the calling client."""
    return proxy_result(serve_files(parse_event(event)))
