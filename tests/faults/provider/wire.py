"""Answers as bytes on a wire, which may be wrong."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.faults.provider.answers import PROMPT, recorded
from tests.support.scripted_provider import chunk

if TYPE_CHECKING:
    from tests.faults.fault import Asked

JSON, EVENTS = "application/json", "text/event-stream"
STALL_SECONDS = 4.0  # longer than the relay's idle timeout, as the walk sets it
# As providers do, it quotes what was asked: that may go to the caller, but into no log.
ERROR = {"error": {"message": f"No to '{PROMPT}'.", "type": "e", "param": None, "code": "c"}}
ERROR_BODY = json.dumps(ERROR).encode()


def head(*lines: str | bytes, status: str = "200 OK") -> bytes:
    """The head of an answer, with these lines as they are."""
    encoded = [line.encode() if isinstance(line, str) else line for line in lines]
    return b"\r\n".join([f"HTTP/1.1 {status}".encode(), *encoded, b"", b""])


def typed(asked: Asked) -> str:
    """The line that tells what kind of body the right answer has."""
    return f"Content-Type: {EVENTS if asked.form.streamed else JSON}"


def lengthy(body: bytes) -> str:
    """The line that tells a body's length."""
    return f"Content-Length: {len(body)}"


def body_of(asked: Asked) -> bytes:
    """The right answer."""
    return recorded(asked.form, asked.cost_nanos)


def sent(asked: Asked, body: bytes, *lines: str) -> bytes:
    """A body instead of the right one, in a frame without fault."""
    return head(typed(asked), lengthy(body), *lines) + body


def chunked(asked: Asked, body: bytes, *lines: str) -> bytes:
    """A body in chunks, without their end."""
    return head(typed(asked), "Transfer-Encoding: chunked", *lines) + chunk(body)


def event(said: Any) -> bytes:
    """One event of a stream."""
    return b"data: " + json.dumps(said).encode() + b"\n\n"
