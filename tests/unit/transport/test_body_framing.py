"""A body ends where its framing says, however its bytes are cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from llm_relay.transport.body_reader import ChunkedFraming, PlainFraming

if TYPE_CHECKING:
    from llm_relay.transport.body_reader import BodyFraming

FIRST, SECOND = b'data: {"a":1}\n\n', b"5\r\nnot a size\r\n\r\n0\r\n\r\n"
CHUNKS = b"F\r\n%b\r\n%x;a=b\r\n%b\r\n" % (FIRST, len(SECOND), SECOND)
ENDS = [b"0\r\n\r\n", b"00;a=b\r\nexpires: never\r\nb: c\r\n\r\n", b"0\n\n"]


def fed(framing: BodyFraming, *pieces: bytes) -> bytes:
    return b"".join(map(framing.feed, pieces))


@pytest.mark.parametrize("end", ENDS)
def test_chunk_content_does_not_depend_on_how_chunks_are_split(end: bytes) -> None:
    body = CHUNKS + end
    for cut in range(1, len(body)):
        chunked = ChunkedFraming()
        assert fed(chunked, body[:cut], body[cut:]) == FIRST + SECOND
        assert (chunked.is_complete, chunked.is_broken, chunked.rest) == (True, False, b"")


@pytest.mark.parametrize("end", ENDS)
def test_chunks_may_arrive_byte_by_byte(end: bytes) -> None:
    body, chunked = CHUNKS + end, ChunkedFraming()
    assert fed(chunked, *(body[at : at + 1] for at in range(len(body) - 1))) == FIRST + SECOND
    assert not chunked.is_complete
    assert chunked.feed(body[-1:]) == b""
    assert chunked.is_complete


def test_a_part_of_a_chunk_does_not_wait_for_the_rest() -> None:
    assert fed(ChunkedFraming(), b"F\r\n" + FIRST[:5]) == FIRST[:5]


def test_bytes_after_the_end_are_not_part_of_the_body() -> None:
    chunked, unchunked = ChunkedFraming(), PlainFraming(len(FIRST))
    assert fed(chunked, CHUNKS + ENDS[0] + b"HTTP/1.1") == FIRST + SECOND
    assert fed(unchunked, FIRST + b"HTTP/1.1") == FIRST
    assert chunked.rest == unchunked.rest == b"HTTP/1.1"


@pytest.mark.parametrize("nonsense", [b"zzz\r\n", b"\r\n\r\n", b"-5\r\n", b"1" * 70000])
def test_content_before_an_invalid_size_is_kept(nonsense: bytes) -> None:
    chunked = ChunkedFraming()
    assert fed(chunked, CHUNKS + nonsense) == FIRST + SECOND
    assert chunked.is_broken


@pytest.mark.parametrize("cut", range(len(CHUNKS) + 2))
def test_chunks_without_a_last_one_are_broken(cut: int) -> None:
    chunked = ChunkedFraming()
    fed(chunked, *filter(None, [(CHUNKS + b"0\r")[:cut]]), b"")
    assert (chunked.is_complete, chunked.is_broken) == (False, True)


def test_a_last_chunk_without_its_line_end_is_accepted() -> None:
    chunked = ChunkedFraming()
    fed(chunked, CHUNKS + b"0\r\n", b"")
    assert (chunked.is_complete, chunked.is_broken) == (True, False)


def test_a_body_ends_at_its_content_length() -> None:
    assert PlainFraming(0).is_complete
    unchunked = PlainFraming(3)
    assert fed(unchunked, b"a", b"b") == b"ab"
    assert not unchunked.is_complete
    assert fed(unchunked, b"c") == b"c"
    assert unchunked.is_complete


def test_a_closed_connection_ends_a_body_without_a_length_and_breaks_one_with_it() -> None:
    open_ended, short = PlainFraming(None), PlainFraming(3)
    assert fed(open_ended, b"ab", b"") == fed(short, b"ab", b"") == b"ab"
    assert (open_ended.is_complete, open_ended.is_broken) == (True, False)
    assert (short.is_complete, short.is_broken) == (False, True)
