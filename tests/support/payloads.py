"""Requests and answers that the tests of the relay functions share."""

from __future__ import annotations

import json
from typing import Any

QUESTION: dict[str, Any] = {
    "model": "abliterated-model",
    "messages": [{"role": "user", "content": "Hello"}],
}
STREAMED_QUESTION = QUESTION | {"stream": True}
INPUT: dict[str, Any] = {"model": "abliterated-model", "input": "Hello"}
STREAMED_INPUT = INPUT | {"stream": True}

COMPLETION: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1795000000,
    "model": "abliterated-model",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hello."},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 18, "completion_tokens": 12, "total_tokens": 30},
    "estimated_cost_usd": 0.00015,
}
RESPONSE: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1795000000,
    "status": "completed",
    "model": "abliterated-model",
    "output": [],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "error": None,
    "incomplete_details": None,
    "instructions": None,
    "text": {"format": {"type": "text"}},
    "metadata": {},
    "usage": {
        "input_tokens": 14,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 10,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 24,
    },
    "estimated_cost_usd": 0.00012,
}


def frame(document: Any) -> bytes:
    return b"data: " + json.dumps(document).encode() + b"\n\n"


def delta(text: str, finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish_reason}
    return frame(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 1795000000,
            "model": "abliterated-model",
            "choices": [choice],
        }
    )


USAGE = frame(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1795000000,
        "model": "abliterated-model",
        "choices": [],
        "usage": {"prompt_tokens": 12, "completion_tokens": 6, "total_tokens": 18},
        "estimated_cost_usd": 0.00009,
    }
)
DONE = b"data: [DONE]\n\n"

CREATED = frame(
    {
        "type": "response.created",
        "sequence_number": 0,
        "response": RESPONSE | {"status": "in_progress", "usage": None},
    }
)
IN_PROGRESS = frame(
    {
        "type": "response.in_progress",
        "sequence_number": 1,
        "response": RESPONSE | {"status": "in_progress", "usage": None},
    }
)
COMPLETED = frame({"type": "response.completed", "sequence_number": 2, "response": RESPONSE})
