"""A hint for each refusal of a provider: what the caller can do about it."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any

_MODELS = "GET /v1/models lists the available models."
_TOO_LONG = "Send fewer or shorter messages, or choose a model with a larger context."
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
_BY_PHRASE = (  # narrow, as no hint is better than a wrong one
    (r"context (length|window)|too many tokens", _TOO_LONG),
    (r"does not (accept|support) image", _NO_IMAGES),
    (
        r"(unsupported|unknown|invalid|no such) model\b|\bmodel\b.* (does not exist|not found)",
        _MODELS,
    ),
    (
        r"(tool|function)s?\b.* schema|schema\b.* (tool|function)",
        "A tool takes a name, a description and parameters that are valid JSON Schema.",
    ),
    (r"\bmessages\b.* (array|list)\b", "'messages' is a list of {role, content}."),
)
_SERVER = "The provider failed, not your request: try again later, with growing pauses."


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
    hints = (hint for phrase, hint in _BY_PHRASE if re.search(phrase, message, re.IGNORECASE))
    return next(hints, "")
