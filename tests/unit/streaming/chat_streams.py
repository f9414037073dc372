"""Chat streams as OpenAI sends them."""

from __future__ import annotations

import json
from typing import Any

from llm_relay.streaming.chat import ChatNormalizer
from llm_relay.streaming.sse import encode_event
from tests.support.sse_payloads import payloads

HEAD = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}


def chunk(delta: dict[str, Any], finish_reason: str | None = None, **more: Any) -> dict[str, Any]:
    return HEAD | {"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]} | more


def passed(*events: dict[str, Any] | bytes, wants_usage: bool = False) -> bytes:
    stream = ChatNormalizer("m", wants_usage=wants_usage)
    frames = [e if isinstance(e, bytes) else encode_event(e) for e in events]
    out = b"".join(stream.normalize(frame) for frame in frames)
    assert stream.invalid_event is None
    return out + (stream.closing_frames() or b"")


def decoded(stream: bytes) -> list[Any]:
    return [json.loads(payload) for payload in payloads(stream) if payload != b"[DONE]"]
