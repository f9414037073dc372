"""A provider's refusal: its status and error object, as the caller gets them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from llm_relay.core.answer import safe_header_value
from llm_relay.core.errors import ProviderRefused, RelayError, UpstreamFailed
from llm_relay.core.json_codec import parse_object
from llm_relay.providers.error_hints import with_hint
from llm_relay.providers.redaction import redact

if TYPE_CHECKING:
    from llm_relay.core.deadline import Deadline
    from llm_relay.transport.http_transport import HttpReply

_MAX_BODY_BYTES = 65536
_BODY_SECONDS = 5.0
_FIRST_INVALID_STATUS = 600
_FORWARDED_HEADERS = {"retry-after", "retry-after-ms", "x-should-retry"}


def read_refusal(reply: HttpReply, key: str, deadline: Deadline) -> RelayError:
    """Return the error of a reply that is no success, without the provider's key."""
    if not HTTPStatus.BAD_REQUEST <= reply.status < _FIRST_INVALID_STATUS:
        return UpstreamFailed(
            f"The provider answered with the unexpected status {reply.status}. Check the base URL."
        )
    try:
        body = reply.read_all(deadline.within(_BODY_SECONDS), _MAX_BODY_BYTES)
    except RelayError:
        body = b""
    error = error_object(body) or {
        "message": f"The provider answered {reply.status} without an explanation.",
    }
    headers = forwarded_headers(reply.headers)
    if request_id := reply.headers.get("x-request-id"):
        headers["x-upstream-request-id"] = safe_header_value(request_id)
    return refusal_of(reply.status, redact(error, key), headers)


def refusal_of(status: int, error: dict[str, Any], headers: Mapping[str, str]) -> ProviderRefused:
    """Return a provider's error in OpenAI's shape, with a hint what to do about it."""
    defaults = {"type": "provider_error", "param": None, "code": None}
    message = error.get("message")
    text = message if isinstance(message, str) and message else "The provider failed."
    if status == HTTPStatus.PAYMENT_REQUIRED:
        headers = {**headers, "x-should-retry": "false"}
    hinted = {"message": with_hint(status, text, error.get("code"))}
    return ProviderRefused(status, defaults | error | hinted, headers)


def refusal_in_success(error: dict[str, Any]) -> ProviderRefused:
    """Return the refusal in an error object that came with status 200."""
    return refusal_of(_status_in(error), error, {})


def forwarded_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the provider's headers that are passed on to the caller."""
    lower_case = ((name.lower(), value) for name, value in headers.items())
    return {
        name: safe_header_value(value)
        for name, value in lower_case
        if name in _FORWARDED_HEADERS or name.startswith("x-ratelimit-")
    }


def error_object(body: bytes) -> dict[str, Any] | None:
    """Return OpenAI's error object in a body, or one made of {"detail"} and the like."""
    document = parse_object(body) or {}
    error = document.get("error") or document.get("detail") or document.get("message")
    if isinstance(error, dict):
        return error if isinstance(error.get("message"), str) else None
    return {"message": error if isinstance(error, str) else json.dumps(error)} if error else None


def _status_in(error: dict[str, Any]) -> int:
    for name in ("status", "status_code", "code"):
        status = error.get(name)
        if type(status) is int and HTTPStatus.BAD_REQUEST <= status < _FIRST_INVALID_STATUS:
            return status
    kind = f"{error.get('type')} {error.get('code')}"
    if "rate_limit" in kind:
        return HTTPStatus.TOO_MANY_REQUESTS
    return HTTPStatus.BAD_REQUEST if "invalid_request" in kind else HTTPStatus.BAD_GATEWAY
