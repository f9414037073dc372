"""One sentence for each refusal of a provider: what to do about it."""

from __future__ import annotations

from http import HTTPStatus

_BY_STATUS = {
    402: "The provider's credits are used up: top up its account; asking again will not help.",
    403: "The stored provider key may not do this: check its project and its rights.",
    404: "Check that the provider's base URL ends in /v1, and the model's id in GET /v1/models.",
    408: "Try again, with growing pauses.",
    409: "Try again, with growing pauses.",
    413: "Send less: shorter messages, smaller images or links to them.",
    415: "Send images as PNG, JPEG, WebP or GIF.",
    422: "Look for a field the provider does not know, or for earlier turns replayed incompletely.",
    429: "Wait as Retry-After says, then try again with growing pauses.",
}
_BAD_REQUEST = (  # the first word that the message holds decides
    ("model", "GET /v1/models lists the models there are."),
    ("tool", "A tool takes a name, a description and parameters that are valid JSON Schema."),
    ("image", "Send images as https or data URLs, to a model that takes them."),
    ("message", "'messages' is a list of {role, content}."),
)
_SERVER = "The provider failed, not your request: try again later, with growing pauses."


def advised(status: int, message: str) -> str:
    """Return the provider's message, followed by what to do."""
    advice = _advice(status, message.lower())
    if not advice or advice in message:
        return message
    end = "" if message.endswith((".", "!", "?")) else "."
    return f"{message}{end} {advice}"


def _advice(status: int, message: str) -> str:
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _SERVER
    if status == HTTPStatus.BAD_REQUEST:
        return next((advice for word, advice in _BAD_REQUEST if word in message), "")
    return _BY_STATUS.get(status, "")
