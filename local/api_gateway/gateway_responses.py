"""Gateway responses: API Gateway's own error answers, as customised in the template."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

CONTEXT = re.compile(r"\$(\{)?context\.(?P<name>[A-Za-z]+(?:\.[A-Za-z]+)*)(?(1)\})")
HEADER = "gatewayresponse.header."
DEFAULT_TEMPLATE = '{"message":$context.error.messageString}'


class ResponseType(NamedTuple):
    """A type of gateway response, without customisation."""

    status: int
    message: str
    error_type: str


RESPONSE_TYPES: Mapping[str, ResponseType] = {
    "ACCESS_DENIED": ResponseType(
        403, "User is not authorized to access this resource", "AccessDenied"
    ),
    "AUTHORIZER_CONFIGURATION_ERROR": ResponseType(
        500, "Internal server error", "AuthorizerConfiguration"
    ),
    "AUTHORIZER_FAILURE": ResponseType(500, "Internal server error", "AuthorizerFailure"),
    "INTEGRATION_FAILURE": ResponseType(504, "Internal server error", "InternalServerError"),
    "INTEGRATION_TIMEOUT": ResponseType(504, "Endpoint request timed out", "InternalServerError"),
    "INVALID_API_KEY": ResponseType(403, "Forbidden", "Forbidden"),
    "MISSING_AUTHENTICATION_TOKEN": ResponseType(
        403, "Missing Authentication Token", "MissingAuthenticationToken"
    ),
    "QUOTA_EXCEEDED": ResponseType(429, "Limit Exceeded", "LimitExceeded"),
    "REQUEST_TOO_LARGE": ResponseType(413, "Request Too Long", "RequestTooLarge"),
    "THROTTLED": ResponseType(429, "Too Many Requests", "TooManyRequests"),
    "UNAUTHORIZED": ResponseType(401, "Unauthorized", "Unauthorized"),
}


class GatewayError(Exception):
    """The request is answered with the named gateway response."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A buffered HTTP answer."""

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""


def render(responses: Mapping[str, Any], kind: str, context: Mapping[str, str]) -> Reply:
    """Render a gateway response; `context` holds `$context`'s values by dotted name."""
    default = RESPONSE_TYPES[kind]
    family = responses.get(f"DEFAULT_{default.status // 100}XX", {})
    own = responses.get(kind, {})
    known = {
        **context,
        "error.message": default.message,
        "error.messageString": json.dumps(default.message),
        "error.responseType": kind,
    }
    templates = own.get("responseTemplates") or family.get("responseTemplates") or {}
    template = templates.get("application/json", DEFAULT_TEMPLATE)
    parameters = {**family.get("responseParameters", {}), **own.get("responseParameters", {})}
    customised = [
        (name.removeprefix(HEADER), header_value(value, known))
        for name, value in parameters.items()
    ]
    return Reply(
        status=int(own.get("statusCode") or family.get("statusCode") or default.status),
        headers=[
            ("Content-Type", "application/json"),
            ("x-amzn-ErrorType", f"{default.error_type}Exception"),
            *customised,
        ],
        body=CONTEXT.sub(lambda match: known.get(match["name"], ""), template).encode(),
    )


def header_value(value: str, context: Mapping[str, str]) -> str:
    """Return a mapped header's value: a quoted literal, or a context value."""
    if value.startswith("'"):
        return value.strip("'")
    return context.get(value.removeprefix("context."), "")
