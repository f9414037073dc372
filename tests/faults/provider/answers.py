"""What the provider of the faults answers when nothing goes wrong, as recorded answers look."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.support.priced_provider import LISTED, MODEL

if TYPE_CHECKING:
    from tests.faults.fault import Form

# None of these may ever be printed.
PROVIDER_KEY = "ak_canary_7d41e09b_provider_key_0000"
PROMPT = "prompt-canary-5e1f93c2"
ANSWER = "answer-canary-77ab10f4 and then some words: Grüße, 日本, \U0001f680."

LISTING = {"object": "list", "data": [LISTED]}
DONE = b"data: [DONE]\n\n"
_PIECES = [ANSWER[at : at + 12] for at in range(0, len(ANSWER), 12)]
_CHAT_COUNTS = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
_COUNTS = {
    "input_tokens": 3,
    "input_tokens_details": {"cached_tokens": 0},
    "output_tokens": 4,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 7,
}

Document = dict[str, Any]


def document(form: Form, cost_nanos: int) -> Document:
    """A whole answer."""
    priced = {"estimated_cost_usd": cost_nanos / 10**9}
    if form.surface == "responses":
        return _response("completed", [_message("completed", ANSWER)], usage=_COUNTS) | priced
    message = {"role": "assistant", "content": ANSWER}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return _head("chat.completion") | {"choices": [choice], "usage": _CHAT_COUNTS} | priced


def frames(form: Form, cost_nanos: int) -> list[bytes]:
    """A streamed answer, event by event."""
    if form.surface == "responses":
        return [_event(each | {"sequence_number": n}) for n, each in enumerate(_events(cost_nanos))]
    chunks = [_chunk({"role": "assistant", "content": ""})]
    chunks += [_chunk({"content": piece}) for piece in _PIECES]
    chunks += [_chunk({}, "stop")]
    counted = {"choices": [], "usage": _CHAT_COUNTS, "estimated_cost_usd": cost_nanos / 10**9}
    return [*map(_event, [*chunks, _head("chat.completion.chunk") | counted]), DONE]


def recorded(form: Form, cost_nanos: int) -> bytes:
    """The body of an answer, whole or streamed."""
    if form.streamed:
        return b"".join(frames(form, cost_nanos))
    return json.dumps(document(form, cost_nanos)).encode()


def _event(said: Document) -> bytes:
    return b"data: " + json.dumps(said).encode() + b"\n\n"


def _head(kind: str) -> Document:
    return {"id": "chatcmpl-1", "object": kind, "created": 1795000000, "model": MODEL}


def _chunk(delta: Document, finish_reason: str | None = None) -> Document:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return _head("chat.completion.chunk") | {"choices": [choice]}


def _events(cost_nanos: int) -> list[Document]:
    started = _response("in_progress", [])
    ended = _response("completed", [_message("completed", ANSWER)], usage=_COUNTS)
    where = {"item_id": "msg_1", "output_index": 0}
    place = where | {"content_index": 0}
    added = where | {"item": _message("in_progress", None)}
    deltas = [place | {"delta": piece, "logprobs": []} for piece in _PIECES]
    return [
        {"type": "response.created", "response": started},
        {"type": "response.in_progress", "response": started},
        {"type": "response.output_item.added", **added},
        {"type": "response.content_part.added", **place, "part": _text("")},
        *({"type": "response.output_text.delta", **delta} for delta in deltas),
        {"type": "response.output_text.done", **place, "text": ANSWER, "logprobs": []},
        {"type": "response.content_part.done", **place, "part": _text(ANSWER)},
        {"type": "response.output_item.done", **where, "item": _message("completed", ANSWER)},
        {
            "type": "response.completed",
            "response": ended | {"estimated_cost_usd": cost_nanos / 10**9},
        },
    ]


def _text(text: str) -> Document:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _message(status: str, text: str | None) -> Document:
    content = [] if text is None else [_text(text)]
    message = {"id": "msg_1", "type": "message", "role": "assistant"}
    return message | {"status": status, "content": content}


def _response(status: str, output: list[Document], usage: Document | None = None) -> Document:
    head = {"id": "resp_1", "object": "response", "created_at": 1795000000, "model": MODEL}
    settings = {"parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "metadata": {}}
    none = {"error": None, "incomplete_details": None, "instructions": None}
    return head | settings | none | {"status": status, "output": output, "usage": usage}
