"""Received requests, JSON text, server-sent events, and the steps of writing an answer."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

JSON_TYPE = "application/json"
STREAM_TYPE = "text/event-stream; charset=utf-8"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderRequest:
    """A request; body is None unless it is a JSON object, and its model excludes switches."""

    method: str
    path: str
    key: str
    switches: str
    body: Json | None

    @property
    def model(self) -> str:
        """Return the name of the model, or an empty string."""
        return str((self.body or {}).get("model", ""))


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
