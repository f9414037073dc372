"""API Gateway's proxy events and results."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llm_relay.core.errors import BadRequest

if TYPE_CHECKING:
    from llm_relay.core.answer import HttpAnswer


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiRequest:
    """One request, parsed from its event."""

    route: str  # as in the template: "POST /v1/chat/completions"
    request_id: str
    api_key_id: str  # never the key's value
    path_parameters: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)  # with lower-case names
    authorizer: Mapping[str, str] = field(default_factory=dict)  # its context of the caller
    _body: str = ""
    _body_is_base64: bool = False

    def body(self) -> bytes:
        """Return the body's bytes; BadRequest if they cannot be decoded."""
        try:
            return base64.b64decode(self._body) if self._body_is_base64 else self._body.encode()
        except (ValueError, AttributeError):
            raise BadRequest("The body is not valid UTF-8. Send JSON in UTF-8.") from None


def parse_event(event: Mapping[str, Any]) -> ApiRequest:
    """Parse a REST proxy event."""
    context = event.get("requestContext") or {}
    identity = context.get("identity") or {}
    return ApiRequest(
        route=f"{event.get('httpMethod')} {event.get('resource')}",
        request_id=context.get("requestId") or "",
        api_key_id=identity.get("apiKeyId") or "unknown",
        path_parameters=event.get("pathParameters") or {},
        query=event.get("queryStringParameters") or {},
        headers={name.lower(): value for name, value in (event.get("headers") or {}).items()},
        authorizer=context.get("authorizer") or {},
        _body=event.get("body") or "",
        _body_is_base64=bool(event.get("isBase64Encoded")),
    )


def proxy_result(answer: HttpAnswer) -> dict[str, Any]:
    """Return an answer in the format of API Gateway's buffered integration."""
    return {
        "statusCode": int(answer.status),
        "headers": dict(answer.headers),
        "body": b"".join(answer.body).decode("utf-8", "replace"),
        "isBase64Encoded": False,
    }
