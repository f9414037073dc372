"""Chat streams, whole and short, as the official client takes them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_relay.chat_stream import ChatStream
from llm_relay.sse import DONE, FrameBuffer, event, harmless, payloads
from tests.unit.sdk import client_that_gets

HEAD = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}


def chunk(delta: dict[str, Any], finish_reason: str | None = None, **more: Any) -> dict[str, Any]:
    return HEAD | {"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]} | more


def passed(*events: dict[str, Any] | bytes, wants_usage: bool = False) -> bytes:
    stream = ChatStream("m", wants_usage=wants_usage)
    frames = [e if isinstance(e, bytes) else event(e) for e in events]
    out = b"".join(stream.pass_on(frame) for frame in frames)
    assert stream.broken is None
    return out + (stream.closing() or b"")


def told(stream: bytes) -> list[Any]:
    return [json.loads(payload) for payload in payloads(stream) if payload != b"[DONE]"]


WHOLE: list[dict[str, Any]] = [
    chunk({"role": "assistant", "content": ""}),
    chunk({"reasoning": "Hm."}),
    chunk({"content": "Hel"}),
    chunk({"content": "lo"}),
    chunk({}, "stop"),
]
COUNT = HEAD | {"choices": [], "usage": USAGE}


@pytest.mark.parametrize("wants_usage", [True, False])
def test_a_whole_stream_passes_byte_for_byte(wants_usage: bool) -> None:
    usage = [event(COUNT)] if wants_usage else []
    frames = [b": hi\n\n", *map(event, WHOLE), *usage, DONE]
    assert passed(*frames, wants_usage=wants_usage) == b"".join(frames)


def test_usage_that_was_not_asked_for_is_kept_to_ourselves() -> None:
    stream = ChatStream("m", wants_usage=False)
    out = b"".join(stream.pass_on(frame) for frame in [*map(event, WHOLE), event(COUNT), DONE])
    assert out == b"".join([*map(event, WHOLE), DONE])
    assert (stream.usage.tokens_in, stream.usage.tokens_out) == (1, 2)


@pytest.mark.parametrize("end", [[DONE], []])
def test_usage_that_came_with_text_is_told_apart_when_asked_for(end: list[bytes]) -> None:
    out = passed(*WHOLE[:-1], chunk({}, "stop", usage=USAGE), *end, wants_usage=True)
    assert out.endswith(DONE)
    assert told(out)[-1] == COUNT


@pytest.mark.parametrize("name", ["id", "object", "created", "model"])
def test_a_chunk_gets_the_fields_it_lacks(name: str) -> None:
    bare = [{k: v for k, v in each.items() if k != name} for each in WHOLE]
    chunks = told(passed(*bare, DONE))
    assert all(each[name] for each in chunks)
    assert len({str(each[name]) for each in chunks}) == 1


def test_a_choice_gets_the_fields_it_lacks() -> None:
    (only,) = told(passed(HEAD | {"choices": [{"delta": {"content": "x"}}]}))
    assert only == chunk({"content": "x"})


def test_fragments_of_tool_calls_get_their_index_and_stay_in_order() -> None:
    first = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": ""}}
    more = [{"function": {"arguments": part}} for part in ('{"a"', ":1}")]
    deltas = [{"tool_calls": [call]} for call in [first, *more]]
    out = passed(*map(chunk, deltas), chunk({}, "tool_calls"), DONE)
    client = client_that_gets(out)
    messages: Any = [{"role": "user", "content": "x"}]
    with client, client.chat.completions.stream(model="m", messages=messages) as stream:
        message = stream.get_final_completion().choices[0].message
    assert message.tool_calls
    assert message.tool_calls[0].function.arguments == '{"a":1}'


def test_the_official_helper_gets_the_text_and_the_usage() -> None:
    client = client_that_gets(passed(*WHOLE, COUNT, DONE, wants_usage=True))
    messages: Any = [{"role": "user", "content": "x"}]
    with client, client.chat.completions.stream(model="m", messages=messages) as stream:
        completion = stream.get_final_completion()
    assert completion.choices[0].message.content == "Hello"
    assert completion.usage
    assert completion.usage.total_tokens == 3


def test_a_broken_event_ends_the_stream_after_all_that_came_before_it() -> None:
    stream = ChatStream("m", wants_usage=False)
    frames = event(WHOLE[2]) + b"data: {oops\n\n" + event(WHOLE[3])
    assert stream.pass_on(frames) == event(WHOLE[2])
    assert stream.broken


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
FIELDS = st.sampled_from(["id", "choices", "usage", "error", "model", "type", "created"])


@given(st.lists(st.dictionaries(FIELDS, JSON, max_size=5), max_size=5))
@settings(deadline=None)
def test_no_chunks_whatsoever_break_the_stream(chunks: list[Any]) -> None:
    stream = ChatStream("m", wants_usage=True)
    out = b"".join(stream.pass_on(event(each)) for each in chunks)
    told(out + (stream.closing() or b""))


@given(
    pieces=st.lists(st.text(max_size=8), max_size=6),
    places=st.lists(st.integers(min_value=0), max_size=12),
    missing=st.sets(st.sampled_from(["id", "object", "created", "model"])),
    extra=st.dictionaries(st.text(min_size=9, max_size=12), JSON, max_size=2),
)
@settings(deadline=None, max_examples=60)
def test_however_a_stream_is_split_no_delta_is_lost_or_reordered(
    pieces: list[str], places: list[int], missing: set[str], extra: dict[str, Any]
) -> None:
    source = [chunk({"content": piece}) for piece in pieces] + [chunk({}, "stop")]
    bare = [{k: v for k, v in (extra | each).items() if k not in missing} for each in source]
    data = b"".join(map(event, bare)) + DONE
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    buffer, stream = FrameBuffer(), ChatStream("m", wants_usage=False)
    chunks = [data[a:b] for a, b in zip(edges, edges[1:], strict=False)]
    out = b"".join(stream.pass_on(harmless(buffer.feed(each))) for each in chunks)
    messages: Any = [{"role": "user", "content": "x"}]
    with client_that_gets(out) as client:
        read = client.chat.completions.create(model="m", messages=messages, stream=True)
        text = "".join(choice.delta.content or "" for each in read for choice in each.choices)
    assert text == "".join(pieces)
