"""JSON text, server-sent events, and the steps of writing an answer."""

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


def complete_reply(status: int, content_type: str, data: bytes) -> Reply:
    """Return a reply whose body is sent in one write."""
    return Reply(
        status=status, content_type=content_type, steps=[Step(data=data)], length=len(data)
    )


DONE = Step(data=b"data: [DONE]\n\n", is_terminal=True)
