"""Received requests, JSON text, server-sent events, and the steps of writing an answer."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

JSON_TYPE = "application/json"
STREAM_TYPE = "text/event-stream; charset=utf-8"

# The type, code and message of an error by status.
DEFAULTS = {
    400: ("invalid_request_error", "invalid_request", "The request is not valid."),
    401: (
        "invalid_request_error",
        "invalid_api_key",
        "The API key is missing or not valid. Send it as: Authorization: Bearer ak_...",
    ),
    402: ("insufficient_credits", "insufficient_credits", "No credits left. Add credits."),
    403: ("permission_error", "permission_denied", "This key may not use this resource."),
    404: (
        "invalid_request_error",
        "not_found",
        "Unknown path. The base URL ends in /v1, the path is /chat/completions, "
        "/responses (POST) or /models (GET).",
    ),
    408: ("timeout_error", "request_timeout", "The request took too long."),
    409: ("conflict_error", "conflict", "The request conflicts with another one."),
    413: ("invalid_request_error", "request_too_large", "The request body is too large."),
    422: ("invalid_request_error", "unprocessable_entity", "The request was refused."),
    429: ("rate_limit_error", "rate_limit_exceeded", "Rate limit exceeded"),
    500: ("server_error", "server_error", "The server had an error."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One write of an answer: wait, then send the bytes or disconnect."""

    data: bytes = b""
    wait_seconds: float = 0.0
    is_piece: bool = False
    is_terminal: bool = False
    disconnects: bool = False


DONE = Step(data=b"data: [DONE]\n\n", is_terminal=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An HTTP answer; without a length it is sent chunked."""

    status: int
    steps: Sequence[Step]
    content_type: str = JSON_TYPE
    length: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


def encode(value: object) -> bytes:
    """Return compact UTF-8 JSON; a lone surrogate, which JSON can express, becomes a ?."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode(errors="replace")


def frame(payload: object, event: str = "") -> bytes:
    """Return one server-sent event."""
    name = f"event: {event}\n".encode() if event else b""
    return name + b"data: " + encode(payload) + b"\n\n"


class ProviderError(Exception):
    """A rejected request; type, code and message default by status."""

    def __init__(
        self, status: int, message: str = "", *, code: str = "", param: str | None = None
    ) -> None:
        fallback = DEFAULTS[400 if status < 500 else 500]  # noqa: PLR2004
        self.kind, default_code, default_message = DEFAULTS.get(status, fallback)
        self.status = status
        self.message = message or default_message
        self.code = code or default_code
        self.param = param
        super().__init__(self.message)

    def body(self) -> Json:
        """Return the error in OpenAI's shape."""
        error = {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}
        return {"error": error}

    def reply(self, shape: str) -> Reply:
        """Return an answer in the shape that the switch `error-body` selects."""
        page = f"<html><body><h1>{self.status}</h1></body></html>\n"
        content_type, data = {
            "openai": (JSON_TYPE, encode(self.body())),
            "detail": (JSON_TYPE, encode({"detail": self.message})),
            "html": ("text/html", page.encode()),
            "empty": ("text/plain", b""),
        }[shape]
        steps = [Step(data=data)]
        return Reply(status=self.status, content_type=content_type, steps=steps, length=len(data))


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderRequest:
    """A request; body is None unless it is a JSON object, and its model excludes switches."""

    method: str
    path: str
    key: str
    switches: str
    body: Json | None


def parse_request(
    method: str, path: str, headers: Mapping[str, str], raw: bytes
) -> ProviderRequest:
    """Parse a request."""
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        body = None
    body = body if isinstance(body, dict) else None
    model_switches = ""
    if body is not None and isinstance(body.get("model"), str):
        body["model"], _, model_switches = body["model"].partition("@")
    return ProviderRequest(
        method=method,
        path=path,
        key=headers.get("authorization", "").removeprefix("Bearer "),
        switches=f"{model_switches};{headers.get('x-simulate', '')}",
        body=body,
    )
