"""A provider's error as the caller gets it: without the provider's key, with a hint."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from llm_relay.core.answer import safe_header_value
from llm_relay.core.errors import ProviderError, RelayError, UpstreamFailed
from llm_relay.core.json_codec import parse_object

if TYPE_CHECKING:
    from llm_relay.core.deadline import Deadline
    from llm_relay.transport.http_transport import HttpReply

_MAX_BODY_BYTES = 65536
_BODY_SECONDS = 5.0
_FIRST_INVALID_STATUS = 600
_MAX_DEPTH = 32  # of an error object; what is nested deeper is left out
_FORWARDED_HEADERS = {"retry-after", "retry-after-ms", "x-should-retry"}

_MODELS = "GET /v1/models lists the available models."
_TOO_LONG = "Send fewer or shorter messages, or choose a model with a larger context."
_TOOLS = "A tool takes a name, a description and parameters that are valid JSON Schema."
_NO_IMAGES = "Choose a model that takes images, or leave them out."
_BY_CODE = {
    "context_length_exceeded": _TOO_LONG,
    "media_images_not_supported": _NO_IMAGES,
    "model_not_found": _MODELS,
    "moderation_blocked": "Change what the message names: a retry will not help.",
    "video_anon_blocked": "The provider's account may not send videos: send images, or text.",
}
_BY_STATUS = {
    402: "The provider's credits are used up: top up its account; a retry will not help.",
    403: "The stored provider key may not do this: check its project and its permissions.",
    404: "Check that the provider's base URL ends in /v1, and the model's id in GET /v1/models.",
    408: "Try again, with growing pauses.",
    409: "Try again, with growing pauses.",
    413: "Send less: shorter messages, smaller images or links to them.",
    415: "Send images as PNG, JPEG, WebP or GIF.",
    422: "Look for a field the provider does not know, or for earlier turns replayed incompletely.",
    429: "Wait as Retry-After says, then try again with growing pauses.",
}
_BY_PHRASE = {  # narrow, as no hint is better than a wrong one
    r"context (length|window)|too many tokens": _TOO_LONG,
    r"does not (accept|support) image": _NO_IMAGES,
    r"(unsupported|unknown|invalid|no such) model\b": _MODELS,
    r"\bmodel\b.* (does not exist|not found)": _MODELS,
    r"(tool|function)s?\b.* schema|schema\b.* (tool|function)": _TOOLS,
    r"\bmessages\b.* (array|list)\b": "'messages' is a list of {role, content}.",
}
_SERVER = "The provider failed, not your request: try again later, with growing pauses."


def read_error(reply: HttpReply, key: str, deadline: Deadline) -> RelayError:
    """Return the error in a reply with an error status, without the provider's key."""
    if not HTTPStatus.BAD_REQUEST <= reply.status < _FIRST_INVALID_STATUS:
        return UpstreamFailed(
            f"The provider answered with the unexpected status {reply.status}. Check the base URL."
        )
    try:
        body = reply.read_all(deadline.within(_BODY_SECONDS), _MAX_BODY_BYTES)
    except RelayError:
        body = b""
    unexplained = {"message": f"The provider answered {reply.status} without an explanation."}
    error = error_object(body) or unexplained
    headers = forwarded_headers(reply.headers)
    if request_id := reply.headers.get("x-request-id"):
        headers["x-upstream-request-id"] = safe_header_value(request_id)
    return error_of(reply.status, redact(error, key), headers)


def error_of(status: int, error: dict[str, Any], headers: Mapping[str, str]) -> ProviderError:
    """Return a provider's error in OpenAI's shape, with a hint what to do about it."""
    defaults = {"type": "provider_error", "param": None, "code": None}
    message = error.get("message")
    text = message if isinstance(message, str) and message else "The provider failed."
    if status == HTTPStatus.PAYMENT_REQUIRED:
        headers = {**headers, "x-should-retry": "false"}
    hinted = {"message": with_hint(status, text, error.get("code"))}
    return ProviderError(status, defaults | error | hinted, headers)


def error_in_success(error: dict[str, Any]) -> ProviderError:
    """Return the error in an error object that came with status 200."""
    return error_of(_status_in(error), error, {})


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


def with_hint(status: int, message: str, code: Any = None) -> str:
    """Return the provider's message, followed by a hint if there is one for the error."""
    hint = _hint(status, message, code if isinstance(code, str) else "")
    if not hint or hint in message:
        return message
    end = "" if message.endswith((".", "!", "?")) else "."
    return f"{message}{end} {hint}"


def _hint(status: int, message: str, code: str) -> str:
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _SERVER
    if code in _BY_CODE:
        return _BY_CODE[code]
    if status != HTTPStatus.BAD_REQUEST:
        return _BY_STATUS.get(status, "")
    found = (hint for phrase, hint in _BY_PHRASE.items() if re.search(phrase, message, re.I))
    return next(found, "")


def redact(value: Any, key: str, max_depth: int = _MAX_DEPTH) -> Any:
    """Return parsed JSON without the key in any of its strings."""
    if not key:
        return value
    match value:
        case str():
            return value.replace(key, "[key]")
        case dict() | list() if not max_depth:
            return None
        case dict():
            items = value.items()
            return {redact(name, key): redact(each, key, max_depth - 1) for name, each in items}
        case list():
            return [redact(each, key, max_depth - 1) for each in value]
    return value
