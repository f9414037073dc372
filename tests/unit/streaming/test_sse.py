"""Events are cut out of any byte stream without changing a byte."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_relay.streaming.sse import FrameBuffer, encode_event, without_harmful_lines
from tests.support.sse_payloads import payloads

LINE_ENDS = ["\n", "\r\n", "\r"]


def fed(chunks: list[bytes]) -> tuple[bytes, bytes]:
    buffer = FrameBuffer()
    return b"".join(buffer.feed(chunk) for chunk in chunks), buffer.flush()


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in zip(edges, edges[1:], strict=False)]


@given(
    texts=st.lists(st.text(max_size=20), max_size=5),
    line_end=st.sampled_from(LINE_ENDS),
    places=st.lists(st.integers(min_value=0), max_size=20),
)
def test_events_do_not_depend_on_how_a_stream_is_split(
    texts: list[str], line_end: str, places: list[int]
) -> None:
    frames = [f"event: x{line_end}data: {json.dumps(t)}{line_end}{line_end}" for t in texts]
    data = "".join(frames).encode()
    whole, rest = fed(cut(data, places))
    assert (whole + rest).rstrip(b"\r\n") == data.rstrip(b"\r\n")
    assert [json.loads(payload) for payload in payloads(whole)] == texts


@given(data=st.binary(max_size=200), places=st.lists(st.integers(min_value=0), max_size=10))
def test_no_bytes_break_the_buffer_and_its_output_is_a_prefix(
    data: bytes, places: list[int]
) -> None:
    whole, _ = fed(cut(data, places))
    assert data.startswith(whole)


@given(data=st.binary(max_size=200))
def test_no_bytes_break_the_cleaning(data: bytes) -> None:
    list(payloads(without_harmful_lines(data)))


def test_an_unfinished_frame_is_held_back() -> None:
    buffer = FrameBuffer()
    assert buffer.feed(b'data: {"a":1}\n\ndata: {"b"') == b'data: {"a":1}\n\n'
    assert buffer.feed(b":2}\n\n") == b'data: {"b":2}\n\n'


@pytest.mark.parametrize(
    ("rest", "flushed"),
    [
        (b"data: [DONE]", b"data: [DONE]\n\n"),
        (b'data: {"a":1}\n', b'data: {"a":1}\n\n\n'),
        (b'data: {"a":', b""),
        (b": comment", b""),
        (b"", b""),
    ],
)
def test_the_end_releases_a_complete_event_and_drops_a_partial_one(
    rest: bytes, flushed: bytes
) -> None:
    assert fed([rest]) == (b"", flushed)


@pytest.mark.parametrize(
    ("frames", "kept"),
    [
        (b"id: 1\ndata: {}\n\n", b"data: {}\n\n"),
        (b"retry: 1\n\n", b""),
        (b"data:\n\n", b""),
        (b"data: \n\ndata: {}\n\n", b"data: {}\n\n"),
        (b"event: ping\n\n", b""),
        (b": hi\nid: 1\n\n", b": hi\n\n"),
        (b"id\n\ndata: {}\n\n", b"data: {}\n\n"),
        (b"event: x\r\n\r\ndata: {}\r\n\r\n", b"data: {}\n\n"),
        (b"data:\r!\n\rx\ndata: {}\n\n", b"x\ndata: {}\n\n"),
    ],
)
def test_lines_on_which_sdks_raise_are_removed(frames: bytes, kept: bytes) -> None:
    assert without_harmful_lines(frames) == kept


@pytest.mark.parametrize(
    "frames",
    [
        b": hi\n\n",
        b"data: {}\n\n",
        b"data:{}\r\n\r\n",
        b'event: x\ndata: {"id": 1, "retry": "data:"}\n\n',
    ],
)
def test_harmless_frames_are_unchanged(frames: bytes) -> None:
    assert without_harmful_lines(frames) is frames


def test_multi_line_data_is_one_payload() -> None:
    assert list(payloads(b'data: {"a":\ndata: 1}\n\n')) == [b'{"a":\n1}']


def test_an_event_of_the_relay_is_one_frame() -> None:
    assert encode_event({"a": "x\n\ny"}, "e") == b'event: e\ndata: {"a":"x\\n\\ny"}\n\n'
