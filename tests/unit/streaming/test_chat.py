"""Chat streams, whole and short, as the official client takes them."""

from __future__ import annotations

from typing import Any

import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_relay.streaming.chat import ChatNormalizer
from llm_relay.streaming.sse import DONE, FrameBuffer, encode_event, without_harmful_lines
from tests.unit.streaming.chat_streams import HEAD, USAGE, chunk, decoded, passed
from tests.unit.streaming.sdk import client_that_gets

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
    usage = [encode_event(COUNT)] if wants_usage else []
    frames = [b": hi\n\n", *map(encode_event, WHOLE), *usage, DONE]
    assert passed(*frames, wants_usage=wants_usage) == b"".join(frames)


def test_unrequested_usage_is_not_forwarded() -> None:
    stream = ChatNormalizer("m", wants_usage=False)
    out = b"".join(
        stream.normalize(frame) for frame in [*map(encode_event, WHOLE), encode_event(COUNT), DONE]
    )
    assert out == b"".join([*map(encode_event, WHOLE), DONE])
    assert (stream.usage.tokens_in, stream.usage.tokens_out) == (1, 2)


@pytest.mark.parametrize("end", [[DONE], []])
def test_requested_usage_that_came_with_text_is_sent_separately(end: list[bytes]) -> None:
    out = passed(*WHOLE[:-1], chunk({}, "stop", usage=USAGE), *end, wants_usage=True)
    assert out.endswith(DONE)
    assert decoded(out)[-1] == COUNT


@pytest.mark.parametrize("name", ["id", "object", "created", "model"])
def test_a_chunk_gets_the_fields_it_lacks(name: str) -> None:
    bare = [{k: v for k, v in each.items() if k != name} for each in WHOLE]
    chunks = decoded(passed(*bare, DONE))
    assert all(each[name] for each in chunks)
    assert len({str(each[name]) for each in chunks}) == 1


def test_a_choice_gets_the_fields_it_lacks() -> None:
    (only,) = decoded(passed(HEAD | {"choices": [{"delta": {"content": "x"}}]}))
    assert only == chunk({"content": "x"})


@pytest.mark.parametrize(
    "error",
    [
        {"type": "error", "code": "boom", "message": "It broke"},
        {"type": "server_error", "code": "boom", "message": "It broke"},
        {"type": "error", "error": {"message": "It broke", "code": "boom"}},
        {"error": {"message": "It broke", "code": "boom"}},
    ],
)
def test_an_error_event_of_any_form_makes_the_official_client_raise(error: Any) -> None:
    stream = ChatNormalizer("m", wants_usage=False)
    out = b"".join(map(stream.normalize, [encode_event(WHOLE[2]), encode_event(error, "error")]))
    messages: Any = [{"role": "user", "content": "x"}]
    with (
        client_that_gets(out) as client,
        pytest.raises(openai.APIError, match="It broke") as caught,
    ):
        list(client.chat.completions.create(model="m", messages=messages, stream=True))
    assert caught.value.code == "boom"
    assert (stream.failure_code, stream.is_finished) == ("provider_error", True)


@pytest.mark.parametrize(
    "count", [{"usage": USAGE}, HEAD | {"usage": USAGE}, COUNT | {"choices": None}]
)
def test_a_usage_that_lacks_its_chunk_gets_it(count: dict[str, Any]) -> None:
    assert decoded(passed(*WHOLE, count, DONE, wants_usage=True))[-1] == COUNT
    assert passed(*WHOLE, count, DONE) == b"".join([*map(encode_event, WHOLE), DONE])


@pytest.mark.parametrize(
    "chunks",
    [
        [chunk({"content": "Hel"}, "")],
        [chunk({"content": "a"}), {"choices": [{"index": 1}]}, chunk({}, "stop")],
    ],
)
def test_a_stream_cut_before_every_choice_has_its_finish_reason_has_no_clean_end(
    chunks: Any,
) -> None:
    stream = ChatNormalizer("m", wants_usage=False)
    for each in chunks:
        stream.normalize(encode_event(each))
    assert stream.closing_frames() is None


def test_a_missing_choice_prevents_a_clean_end() -> None:
    stream = ChatNormalizer("m", wants_usage=False, choices=2)
    stream.normalize(encode_event(chunk({"content": "a"}, "stop")))
    assert stream.closing_frames() is None


def test_nulls_are_filled_like_missing_fields() -> None:
    choice = {"index": None, "delta": None, "finish_reason": None}
    first, second = decoded(passed(WHOLE[2], dict.fromkeys(HEAD) | {"choices": [choice, None]}))
    assert second == chunk({})
    assert first == WHOLE[2]


def test_a_burst_passes_byte_for_byte_around_removed_events() -> None:
    texts = [encode_event(chunk({"content": f"word {number}"})) for number in range(100)]
    before, after = b"".join(texts[:50]), b"".join(texts[50:]) + encode_event(WHOLE[-1]) + DONE
    assert passed(before + encode_event(COUNT) + after) == before + after


def test_invalid_json_character_ends_the_stream() -> None:
    stream = ChatNormalizer("m", wants_usage=False)
    stream.normalize(encode_event(WHOLE[2]))
    assert stream.normalize(encode_event(WHOLE[2]).replace(b'"Hel"', b"\0")) == b""
    assert stream.invalid_event


def test_the_official_helper_gets_the_text_and_the_usage() -> None:
    client = client_that_gets(passed(*WHOLE, COUNT, DONE, wants_usage=True))
    messages: Any = [{"role": "user", "content": "x"}]
    with client, client.chat.completions.stream(model="m", messages=messages) as stream:
        completion = stream.get_final_completion()
    assert completion.choices[0].message.content == "Hello"
    assert completion.usage
    assert completion.usage.total_tokens == 3


def test_a_broken_event_ends_the_stream_after_the_events_before_it() -> None:
    stream = ChatNormalizer("m", wants_usage=False)
    frames = encode_event(WHOLE[2]) + b"data: {oops\n\n" + encode_event(WHOLE[3])
    assert stream.normalize(frames) == encode_event(WHOLE[2])
    assert stream.invalid_event


@pytest.mark.parametrize("broken", [b"\0", b'data: {"a":"\0"}\n\n', b": a\n: \0\n\n"])
def test_events_before_an_invalid_json_character_in_a_burst_are_sent(broken: bytes) -> None:
    stream = ChatNormalizer("m", wants_usage=False)
    good = encode_event(WHOLE[2]) + encode_event(WHOLE[3])
    assert stream.normalize(good + broken + encode_event(WHOLE[4])) == good
    assert stream.invalid_event


def test_the_last_of_several_usages_counts_even_if_it_is_repeated() -> None:
    stream = ChatNormalizer("m", wants_usage=True)
    for count in (1, 2, 1):
        stream.normalize(
            encode_event(chunk({"content": "a"}, usage=USAGE | {"completion_tokens": count}))
        )
    assert stream.usage.tokens_out == 1


NAMES = ["usage", "content", "id", "type", "delta", "choices", "finish_reason", "error", "model"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)
FIELDS = st.sampled_from(["id", "choices", "usage", "error", "model", "type", "created"])


@given(st.lists(st.dictionaries(FIELDS, JSON, max_size=5), max_size=5))
@settings(deadline=None)
def test_no_chunks_break_the_stream(chunks: list[Any]) -> None:
    stream = ChatNormalizer("m", wants_usage=True)
    out = b"".join(stream.normalize(encode_event(each)) for each in chunks)
    decoded(out + (stream.closing_frames() or b""))


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
    data = b"".join(map(encode_event, bare)) + DONE
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    buffer, stream = FrameBuffer(), ChatNormalizer("m", wants_usage=False)
    chunks = [data[a:b] for a, b in zip(edges, edges[1:], strict=False)]
    out = b"".join(stream.normalize(without_harmful_lines(buffer.feed(each))) for each in chunks)
    assert all(each.keys() >= HEAD.keys() for each in decoded(out))
    messages: Any = [{"role": "user", "content": "x"}]
    with client_that_gets(out) as client:
        read = client.chat.completions.create(model="m", messages=messages, stream=True)
        text = "".join(choice.delta.content or "" for each in read for choice in each.choices)
    assert text == "".join(pieces)
