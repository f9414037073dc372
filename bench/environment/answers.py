"""Request bodies of the benchmarks and the provider's fixed answers."""

from __future__ import annotations

import json
from typing import Any

Document = dict[str, Any]

MODEL = "abliterated-model"
CHUNKS = 20  # of a stream that the question does not size
_CREATED = 1795000000
_WORDS = ("The", "quick", "brown", "fox", "jumps", "over", "the", "lazy", "dog")

COMPLETION: Document = {
    "id": "chatcmpl-9d1f4a6c0b7e4f0f8a52",
    "object": "chat.completion",
    "created": _CREATED,
    "model": MODEL,
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": " ".join(_WORDS * 7)},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 18, "completion_tokens": 60, "total_tokens": 78},
    "estimated_cost_usd": 0.00039,
}
_HEAD: Document = {"id": "resp_9d1f4a6c0b7e4f0f8a52", "object": "response", "created_at": _CREATED}
_RESPONSE: Document = {**_HEAD, "model": MODEL, "output": []}
MODELS: Document = {
    "object": "list",
    "data": [
        {
            "id": MODEL,
            "object": "model",
            "context_length": 150000,
            "max_output_tokens": 16384,
            "pricing": {"input": 0.000005, "output": 0.000005},
        }
    ],
}


def chat_question(chunks: int | None = None) -> Document:
    """Return a chat request; with a number, one for a stream of so many chunks."""
    text = "Tell me of the fox" if chunks is None else f"burst {chunks}"
    question: Document = {"model": MODEL, "messages": [{"role": "user", "content": text}]}
    return question if chunks is None else question | {"stream": True}


def responses_question(chunks: int) -> Document:
    """Return a request for a Responses stream of so many deltas."""
    return {"model": MODEL, "input": f"burst {chunks}", "stream": True}


def chat_chunks(count: int) -> list[bytes]:
    """Return the frames of a complete chat stream."""
    deltas: list[Document] = [{"content": f" {_WORDS[n % len(_WORDS)]}"} for n in range(count)]
    deltas[0] |= {"role": "assistant"}
    choices: list[Document] = [
        {"index": 0, "delta": delta, "finish_reason": None} for delta in deltas
    ]
    choices.append({"index": 0, "delta": {}, "finish_reason": "stop"})
    last = _frame(_chunk([]) | {"usage": COMPLETION["usage"]})
    return [*(_frame(_chunk([choice])) for choice in choices), last, b"data: [DONE]\n\n"]


def minimal_responses_frames(count: int) -> list[bytes]:
    """Return a Responses stream as the provider documents it: created, deltas, completed."""
    kind = "response.output_text.delta"
    deltas = [{"type": kind, "delta": f" {_WORDS[n % len(_WORDS)]}"} for n in range(count)]
    created: Document = {
        "type": "response.created",
        "response": _RESPONSE | {"status": "in_progress"},
    }
    completed: Document = {
        "type": "response.completed",
        "response": _RESPONSE | {"status": "completed"},
    }
    return [_frame(each) for each in (created, *deltas, completed)]


def _chunk(choices: list[Document]) -> Document:
    head = {"id": COMPLETION["id"], "object": "chat.completion.chunk", "created": _CREATED}
    return {**head, "model": MODEL, "choices": choices}


def _frame(document: Document) -> bytes:
    return b"data: " + json.dumps(document, separators=(",", ":")).encode() + b"\n\n"
