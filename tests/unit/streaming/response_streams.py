"""Responses streams as OpenAI sends them, and shorter ones."""

from __future__ import annotations

import json
from contextlib import contextmanager
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from llm_relay.providers.dialects.dialect import ABLITERATION
from llm_relay.streaming.responses.normalizer import ResponsesNormalizer
from llm_relay.streaming.sse import encode_event
from tests.support.sse_payloads import payloads
from tests.unit.streaming.sdk import client_that_gets

if TYPE_CHECKING:
    from collections.abc import Iterator

Event = dict[str, Any]

BODY: Event = {"model": "m", "input": "Hello"}
HEAD: Event = {"id": "resp_1", "object": "response", "created_at": 1, "model": "m"}
ECHO = {"parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "error": None}
REST = ECHO | {
    "incomplete_details": None,
    "instructions": None,
    "metadata": {},
    "text": {"format": {"type": "text"}},
    "usage": None,
}
USAGE = {
    "input_tokens": 3,
    "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
    "output_tokens": 2,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 5,
}
CREATED = {"type": "response.created", "response": HEAD | {"status": "in_progress"}}
COMPLETED = {"type": "response.completed", "response": HEAD | {"status": "completed"}}


def passed(*events: Event | bytes) -> bytes:
    """Return the output of a stream that ends after these events."""
    stream = ResponsesNormalizer(BODY, ABLITERATION)
    frames = [e if isinstance(e, bytes) else encode_event(e, e["type"]) for e in events]
    out = b"".join(stream.normalize(frame) for frame in frames)
    assert stream.invalid_event is None
    return out


def decoded(stream: bytes) -> list[Any]:
    return [json.loads(payload) for payload in payloads(stream) if payload != b"[DONE]"]


@contextmanager
def helper_on(body: bytes) -> Iterator[Any]:
    """The official client's strict helper, reading a stream from memory."""
    client = client_that_gets(body)
    with client, client.responses.stream(model="m", input="Hello") as stream:
        yield stream


def minimal(*pieces: str) -> list[Event]:
    """The events of the provider's pages."""
    return deepcopy([CREATED, *deltas("output_text", *pieces), COMPLETED])


def full(*pieces: str) -> list[Event]:
    """OpenAI's own sequence, with nothing left to wish for."""
    return stream_of(message(0, *pieces))


def stream_of(*items: list[Event]) -> list[Event]:
    """A whole stream of these items."""
    started = HEAD | REST | {"status": "in_progress", "output": []}
    output = [item[-1]["item"] for item in items]
    events: list[Event] = [
        {"type": "response.created", "response": started},
        {"type": "response.in_progress", "response": started},
        *(each for item in items for each in item),
        {
            "type": "response.completed",
            "response": started | {"status": "completed", "output": output, "usage": USAGE},
        },
    ]
    return numbered(events)


def numbered(events: list[Event]) -> list[Event]:
    return [each | {"sequence_number": number} for number, each in enumerate(events)]


def deltas(kind: str, *pieces: str, **place: Any) -> list[Event]:
    return [{"type": f"response.{kind}.delta", **place, "delta": piece} for piece in pieces]


def message(index: int, *pieces: str, item_id: str = "msg_1") -> list[Event]:
    head = {"id": item_id, "type": "message", "role": "assistant", "content": []}
    part = {"type": "output_text", "text": "", "annotations": []}
    inner = text("output_text", part, "text", pieces, place(item_id, index), logprobs=[])
    return item(index, head, {"content": [inner[-1]["part"]]}, inner)


def refusal(index: int, *pieces: str, item_id: str = "msg_2") -> list[Event]:
    head = {"id": item_id, "type": "message", "role": "assistant", "content": []}
    part = {"type": "refusal", "refusal": ""}
    inner = text("refusal", part, "refusal", pieces, place(item_id, index))
    return item(index, head, {"content": [inner[-1]["part"]]}, inner)


def reasoning(index: int, *pieces: str, item_id: str = "rs_1") -> list[Event]:
    head = {"id": item_id, "type": "reasoning", "summary": []}
    part = {"type": "reasoning_text", "text": ""}
    inner = text("reasoning_text", part, "text", pieces, place(item_id, index))
    return item(index, head, {"content": [inner[-1]["part"]]}, inner)


def summary(index: int, *pieces: str, item_id: str = "rs_2") -> list[Event]:
    head = {"id": item_id, "type": "reasoning", "summary": []}
    part = {"type": "summary_text", "text": ""}
    inner = text("reasoning_summary_text", part, "text", pieces, place(item_id, index))
    return item(index, head, {"summary": [inner[-1]["part"]]}, inner)


def search(index: int, item_id: str = "ws_1") -> list[Event]:
    states = [
        {"type": f"response.web_search_call.{state}", **place(item_id, index)}
        for state in ("in_progress", "searching", "completed")
    ]
    return item(index, {"id": item_id, "type": "web_search_call"}, {}, states)


def call(index: int, *pieces: str, item_id: str = "fc_1", call_id: str = "call_1") -> list[Event]:
    head = {"id": item_id, "type": "function_call", "call_id": call_id, "name": "look_up"}
    whole = {"arguments": "".join(pieces)}
    done = {"type": "response.function_call_arguments.done", "name": "look_up", **whole}
    at = place(item_id, index)
    inner = [*deltas("function_call_arguments", *pieces, **at), done | at]
    return item(index, head | {"arguments": ""}, whole, inner)


def place(item_id: str, index: int) -> Event:
    return {"item_id": item_id, "output_index": index}


def item(index: int, head: Event, whole: Event, inner: list[Event]) -> list[Event]:
    """The events of one item."""
    at = {"output_index": index}
    added = {"type": "response.output_item.added", **at, "item": head | {"status": "in_progress"}}
    last = head | {"status": "completed"} | whole
    return [added, *inner, {"type": "response.output_item.done", **at, "item": last}]


def text(
    kind: str, part: Event, name: str, pieces: tuple[str, ...], at: Event, **lists: Any
) -> list[Event]:
    """The events of one text in its part."""
    is_summary = kind == "reasoning_summary_text"
    part_events = "response.reasoning_summary_part" if is_summary else "response.content_part"
    at = at | {"summary_index" if is_summary else "content_index": 0}
    whole = {name: "".join(pieces)}
    return [
        {"type": f"{part_events}.added", **at, "part": part},
        *deltas(kind, *pieces, **at, **lists),
        {"type": f"response.{kind}.done", **at, **whole, **lists},
        {"type": f"{part_events}.done", **at, "part": part | whole},
    ]


def without(events: list[Event], *kinds: str, name: str = "") -> list[Event]:
    """The events but for some kinds, and for a field of theirs."""
    kept = [e for e in events if e["type"].removeprefix("response.") not in kinds]
    return [{k: v for k, v in e.items() if k != name} for e in kept]
