"""The fields that OpenAI's types require of a response, where a provider leaves them out."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llm_relay.response_items import Item

Document = dict[str, Any]

_NO_INPUT_DETAILS = {"cached_tokens": 0, "cache_write_tokens": 0}
_NO_OUTPUT_DETAILS = {"reasoning_tokens": 0}


def filled_response(response: Document, body: Document) -> Document:
    """Return a response with every field; what the caller asked for is told from the request."""
    filled = {
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
        "usage": None,  # unless the provider tells it: none is made up
        "metadata": body.get("metadata") or {},
        **{name: value for name, value in response.items() if value is not None},
    }
    filled["id"] = str(filled["id"])
    if isinstance(response.get("usage"), dict):
        filled["usage"] = filled_usage(response["usage"])
    return dict.fromkeys(response) | filled


def filled_usage(usage: Document) -> Document:
    """Return the usage with its details, zero where the provider counts none."""
    tokens_in, tokens_out = usage.get("input_tokens") or 0, usage.get("output_tokens") or 0
    return {
        "input_tokens": tokens_in,
        "output_tokens": tokens_out,
        "total_tokens": tokens_in + tokens_out,
        **usage,
        "input_tokens_details": _NO_INPUT_DETAILS | (usage.get("input_tokens_details") or {}),
        "output_tokens_details": _NO_OUTPUT_DETAILS | (usage.get("output_tokens_details") or {}),
    }


def whole_output(output: Any) -> list[Any]:
    """Return the items of a whole answer, each with the fields that its kind requires."""
    items = output if isinstance(output, list) else []
    return [_whole_item(index, item) for index, item in enumerate(items)]


def _whole_item(index: int, item: Any) -> Any:
    if not isinstance(item, dict):
        return item
    kind = item.get("type", "message")
    own: Document = {"id": f"item_{index}", "type": kind, "status": "completed"}
    if kind == "message":
        parts = item.get("content") or []
        content = [_filled_part(part) for part in parts] if isinstance(parts, list) else parts
        return own | {"role": "assistant"} | item | {"content": content}
    if kind == "function_call":
        return own | {"call_id": item.get("id", f"call_{index}"), "arguments": "{}"} | item
    return item


def filled_item(item: Item, given: Document) -> Document:
    """Return an announced item with the fields that its kind requires."""
    filled = {"id": item.id, "type": item.kind, **given}
    if item.kind == "message":
        parts = given.get("content") or []
        filled = {"role": "assistant", "status": "in_progress", **filled}
        filled["content"] = [_filled_part(part) for part in parts]
    elif item.kind == "function_call":
        own = {"call_id": item.call_id, "name": item.name, "arguments": item.arguments}
        filled = own | {"status": "in_progress"} | filled
    return filled


def _filled_part(part: Any) -> Any:
    if isinstance(part, dict) and part.get("type") == "output_text":
        return {"annotations": [], **part}
    return part
