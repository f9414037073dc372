"""Adds the fields that OpenAI's types require to responses, usage and output items."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

from llm_relay.core.defaults import Document, object_in, objects_in, text_in, with_defaults
from llm_relay.core.usage import usage_of

ID_PREFIXES = {"message": "msg", "function_call": "fc", "reasoning": "rs", "web_search_call": "ws"}
_ZERO_DETAILS = {
    "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
    "output_tokens_details": {"reasoning_tokens": 0},
}


def complete_response(response: Document, body: Document) -> Document:
    """Return a response with every field; those that echo the request are from its body."""
    defaults = {
        "id": f"resp_{uuid.uuid4().hex}",
        "object": "response",
        "created_at": int(time.time()),
        "status": "in_progress",
        "model": body.get("model"),
        "output": [],
        "parallel_tool_calls": body.get("parallel_tool_calls") is not False,
        "tool_choice": body.get("tool_choice") or "auto",
        "tools": body.get("tools") or [],
        "error": None,
        "incomplete_details": None,
        "instructions": body.get("instructions"),
        "text": body.get("text") or {"format": {"type": "text"}},
        "usage": None,  # never invented
        "metadata": body.get("metadata") or {},
    }
    whole = with_defaults(defaults, response)
    usage = whole["usage"]
    usage = complete_usage(usage) if isinstance(usage, dict) else None
    return whole | {"id": str(whole["id"]), "usage": usage}


def complete_usage(usage: Document) -> Document:
    """Return the usage with its details, zero where the provider counts none."""
    counted = usage_of({"usage": usage})
    tokens_in, tokens_out = counted.tokens_in or 0, counted.tokens_out or 0
    total = usage.get("total_tokens")
    completed: Document = {
        "input_tokens": tokens_in,
        "output_tokens": tokens_out,
        "total_tokens": total if type(total) is int else tokens_in + tokens_out,
    }
    for name, zeros in _ZERO_DETAILS.items():
        completed[name] = with_defaults(zeros, object_in(usage, name))
    return usage | completed


def complete_output(response: Document) -> list[Document]:
    """Return the items of a complete answer, with the fields that their types require."""
    return [_complete_item(*each) for each in enumerate(objects_in(response, "output"))]


def item_type(item: Document) -> str:
    """Return the type of an output item, or else guess it from the prefix of its id."""
    prefix = text_in(item, "id").partition("_")[0]
    kind = next((kind for kind, known in ID_PREFIXES.items() if prefix == known), "message")
    return text_in(item, "type") or ("function_call" if "call_id" in item else kind)


def content_parts(content: Any) -> list[Document]:
    """Return the parts of a content, which may be a bare string."""
    if isinstance(content, str):
        return [{"text": content}]
    return objects_in({"content": content}, "content")


def _complete_item(index: int, item: Document) -> Document:
    kind = item_type(item)
    if kind == "message":
        content = [_complete_part(part) for part in content_parts(item.get("content"))]
        own: Document = {"role": "assistant", "status": "completed"}
        item = item | {"content": content}
    elif kind == "function_call":
        call_id = text_in(item, "id") or f"call_{index}"
        own = {"call_id": call_id, "name": "", "arguments": "{}", "status": "completed"}
        if isinstance(item.get("arguments"), dict):
            item = item | {"arguments": json.dumps(item["arguments"])}
    else:
        own = {"summary": []} if kind == "reasoning" else {}
    return with_defaults({"id": f"item_{index}", "type": kind} | own, item)


def _complete_part(part: Document) -> Document:
    if text_in(part, "type") not in ("", "output_text"):
        return part
    own = {"type": "output_text", "text": text_in(part, "text")}
    return with_defaults({"annotations": []}, part) | own
