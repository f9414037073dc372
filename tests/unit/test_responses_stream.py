"""Responses streams, whole and short, as the official client takes them."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_relay.dialect import ABLITERATION
from llm_relay.errors import UpstreamBroke
from llm_relay.responses_stream import ResponsesStream
from llm_relay.sse import FrameBuffer, event, harmless, payloads
from tests.unit.sdk import client_that_gets

if TYPE_CHECKING:
    from collections.abc import Iterator

BODY: dict[str, Any] = {"model": "m", "input": "Hello"}
HEAD = {"id": "resp_1", "object": "response", "created_at": 1, "model": "m"}
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


def passed(*events: dict[str, Any] | bytes) -> bytes:
    """What becomes of a stream that ends after these events."""
    stream = ResponsesStream(BODY, ABLITERATION)
    frames = [e if isinstance(e, bytes) else event(e, e["type"]) for e in events]
    out = b"".join(stream.pass_on(frame) for frame in frames)
    assert stream.broken is None
    return out


def told(stream: bytes) -> list[Any]:
    return [json.loads(payload) for payload in payloads(stream) if payload != b"[DONE]"]


def minimal(*pieces: str) -> list[dict[str, Any]]:
    deltas = [{"type": "response.output_text.delta", "delta": piece} for piece in pieces]
    created = {"type": "response.created", "response": HEAD | {"status": "in_progress"}}
    completed = {"type": "response.completed", "response": HEAD | {"status": "completed"}}
    return [created, *deltas, completed]


def full(*pieces: str) -> list[dict[str, Any]]:
    """OpenAI's own sequence, with nothing left to wish for."""
    text = "".join(pieces)
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    part = {"type": "output_text", "text": "", "annotations": []}
    item = {"id": "msg_1", "type": "message", "role": "assistant", "content": []}
    done = item | {"status": "completed", "content": [part | {"text": text}]}
    response = HEAD | REST | {"status": "in_progress", "output": []}
    last = response | {"status": "completed", "output": [done], "usage": USAGE}
    bodies: list[dict[str, Any]] = [
        {"type": "response.created", "response": response},
        {"type": "response.in_progress", "response": response},
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": item | {"status": "in_progress"},
        },
        {"type": "response.content_part.added", **place, "part": part},
        *(
            {"type": "response.output_text.delta", **place, "delta": piece, "logprobs": []}
            for piece in pieces
        ),
        {"type": "response.output_text.done", **place, "text": text, "logprobs": []},
        {"type": "response.content_part.done", **place, "part": part | {"text": text}},
        {"type": "response.output_item.done", "output_index": 0, "item": done},
        {"type": "response.completed", "response": last},
    ]
    return [body | {"sequence_number": number} for number, body in enumerate(bodies)]


def test_a_whole_stream_passes_byte_for_byte() -> None:
    frames = [event(e, e["type"]) for e in full("Hel", "lo")] + [b": hi\n\n", b"data: [DONE]\n\n"]
    assert passed(*frames) == b"".join(frames)


def test_the_documented_three_events_become_the_full_sequence() -> None:
    events = told(passed(*minimal("Hel", "lo")))
    assert [e["type"].removeprefix("response.") for e in events] == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert [e["sequence_number"] for e in events] == list(range(10))
    (item,) = events[-1]["response"]["output"]
    assert item["content"][0]["text"] == "Hello"
    assert {e["item_id"] for e in events if "item_id" in e} == {item["id"]}


@contextmanager
def helper_on(body: bytes) -> Iterator[Any]:
    """The official client's strict helper, reading a stream from memory."""
    client = client_that_gets(body)
    with client, client.responses.stream(model="m", input="Hello") as stream:
        yield stream


def without(events: list[dict[str, Any]], *kinds: str, name: str = "") -> list[dict[str, Any]]:
    kept = [e for e in events if e["type"].removeprefix("response.") not in kinds]
    return [{k: v for k, v in e.items() if k != name} for e in kept]


@pytest.mark.parametrize(
    "events",
    [
        minimal("Hel", "lo"),
        full("Hel", "lo"),
        minimal("Hel", "lo")[1:],
        without(full("Hel", "lo"), name="sequence_number"),
        without(full("Hel", "lo"), name="item_id"),
        without(full("Hel", "lo"), name="output_index"),
        without(full("Hel", "lo"), name="content_index"),
        without(full("Hel", "lo"), "in_progress"),
        without(full("Hel", "lo"), "output_item.added"),
        without(full("Hel", "lo"), "content_part.added"),
        without(full("Hel", "lo"), "output_item.done"),
        without(full("Hel", "lo"), "output_text.done", "content_part.done"),
        without(full("Hel", "lo"), "output_text.delta"),
        without(full("Hel", "lo"), "output_item.added", "content_part.added", "created"),
        [full("Hello")[0], full("Hello")[-1]],
    ],
)
def test_whatever_a_stream_lacks_the_official_helper_gets_its_text(events: Any) -> None:
    with helper_on(passed(*events)) as stream:
        deltas = [e.delta for e in stream if e.type == "response.output_text.delta"]
        response = stream.get_final_response()
    assert "".join(deltas) == "Hello"
    assert response.output_text == "Hello"
    assert response.status == "completed"


NAMES = {
    "openai": ("function_call_arguments.delta", "function_call_arguments.done"),
    "provider": ("function_call.arguments.delta", "function_call.done"),
}


def calls(names: str, *, announced: bool, placed: bool) -> list[dict[str, Any]]:
    delta, done = NAMES[names]
    created, completed = minimal()
    place = {"item_id": "fc_1", "output_index": 0} if placed else {}
    fields = {"call_id": "call_1", "name": "look_up", "arguments": ""}
    item = {"type": "function_call", "id": "fc_1", "status": "in_progress", **fields}
    added = {"type": "response.output_item.added", "output_index": 0, "item": item}
    return [
        created,
        *([added] if announced else []),
        {"type": f"response.{delta}", **place, "delta": '{"a"'},
        {"type": f"response.{delta}", **place, "delta": ":1}"},
        {"type": f"response.{done}", **place, "name": "look_up", "arguments": '{"a":1}'},
        completed,
    ]


@pytest.mark.parametrize("names", NAMES)
@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize("placed", [True, False])
def test_a_tool_call_arrives_whole_under_openai_s_names(
    names: str, announced: bool, placed: bool
) -> None:
    body = passed(*calls(names, announced=announced, placed=placed))
    with helper_on(body) as stream:
        kinds = [e.type for e in stream]
        (call,) = stream.get_final_response().output
    assert "response.function_call_arguments.done" in kinds
    assert not [kind for kind in kinds if "function_call." in kind]
    assert (call.type, call.name, call.arguments) == ("function_call", "look_up", '{"a":1}')
    assert call.call_id
    arguments = "".join(e["delta"] for e in told(body) if e["type"].endswith("arguments.delta"))
    assert arguments == '{"a":1}'


def test_usage_gets_the_details_that_the_types_require() -> None:
    events = minimal("x")
    events[-1]["response"]["usage"] = {"input_tokens": 3, "output_tokens": 2}
    assert told(passed(*events))[-1]["response"]["usage"] == USAGE


def test_what_the_provider_adds_is_kept() -> None:
    events = minimal("x")
    events[-1]["remaining_credits"] = 7
    events[-1]["response"]["estimated_cost_usd"] = 0.5
    last = told(passed(*events))[-1]
    assert (last["remaining_credits"], last["response"]["estimated_cost_usd"]) == (7, 0.5)


def test_an_incomplete_response_says_so() -> None:
    events = minimal("Hel")
    events[-1]["type"] = "response.incomplete"
    why = {"incomplete_details": {"reason": "max_output_tokens"}}
    events[-1]["response"] |= why | {"status": "incomplete"}
    last = told(passed(*events))[-1]
    assert last["type"] == "response.incomplete"
    assert last["response"]["output"][0]["status"] == "incomplete"
    assert last["response"]["incomplete_details"] == {"reason": "max_output_tokens"}


def test_a_failure_after_some_text_keeps_the_text_and_the_count() -> None:
    stream = ResponsesStream(BODY, ABLITERATION)
    for each in full("Hel", "lo")[:6]:
        stream.pass_on(event(each, each["type"]))
    (failed,) = told(stream.failure(UpstreamBroke("It broke off.")))
    assert (failed["type"], failed["sequence_number"]) == ("response.failed", 6)
    assert failed["response"]["id"] == "resp_1"
    assert failed["response"]["error"]["message"] == "It broke off."
    assert failed["response"]["output"][0]["content"][0]["text"] == "Hello"


def test_an_event_of_tomorrow_passes() -> None:
    new: dict[str, Any] = {"type": "response.telepathy.delta", "delta": "x", "sequence_number": 4}
    events = full("Hel", "lo")
    frame = event(new, new["type"])
    assert frame in passed(*events[:4], frame)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
KINDS = st.sampled_from(
    [e["type"] for e in full("x")]
    + [e["type"] for e in calls("provider", announced=True, placed=True)]
)
FIELDS = st.sampled_from(
    ["response", "item", "item_id", "output_index", "content_index", "delta", "text", "part",
     "arguments", "name", "call_id", "sequence_number"]
)  # fmt: skip


@given(st.lists(st.tuples(KINDS, st.dictionaries(FIELDS, JSON)), max_size=8))
@settings(deadline=None)
def test_no_events_whatsoever_break_the_stream(events: list[tuple[str, Any]]) -> None:
    stream = ResponsesStream(BODY, ABLITERATION)
    out = b"".join(stream.pass_on(event({"type": k} | fields, k)) for k, fields in events)
    numbers = [e["sequence_number"] for e in told(out)]
    assert all(type(number) is int for number in numbers)


@given(
    pieces=st.lists(st.text(max_size=8), max_size=6),
    short=st.booleans(),
    places=st.lists(st.integers(min_value=0), max_size=12),
    extra=st.dictionaries(st.text(min_size=1, max_size=5), JSON, max_size=2),
)
@settings(deadline=None, max_examples=60)
def test_however_a_stream_is_split_no_delta_is_lost_or_reordered(
    pieces: list[str], short: bool, places: list[int], extra: dict[str, Any]
) -> None:
    source = minimal(*pieces) if short else full(*pieces)
    data = b"".join(event(extra | e, e["type"]) for e in source)
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    buffer, stream = FrameBuffer(), ResponsesStream(BODY, ABLITERATION)
    chunks = [data[a:b] for a, b in zip(edges, edges[1:], strict=False)]
    out = b"".join(stream.pass_on(harmless(buffer.feed(chunk))) for chunk in chunks)
    deltas = [e["delta"] for e in told(out) if e["type"] == "response.output_text.delta"]
    assert "".join(deltas) == "".join(pieces)
    with helper_on(out) as helper:
        assert helper.get_final_response().output_text == "".join(pieces)
