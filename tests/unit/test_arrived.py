"""Chunks that are there from their size to their end, and no others, are read ahead."""

import pytest

from llm_relay.arrived import whole_chunks

LAST = b"\r\n0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    """Return a chunk behind the line end of the one before."""
    return b"\r\n%x\r\n%b" % (len(data), data)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_whole_chunks_are_counted(count: int) -> None:
    assert whole_chunks(chunk(b"data: {}\n\n") * count + b"\r\n") == count


@pytest.mark.parametrize("cut", range(1, len(chunk(b"data: {}\n\n"))))
def test_a_chunk_without_its_end_does_not_count(cut: int) -> None:
    buffered = chunk(b"first") + chunk(b"data: {}\n\n")[:cut]
    assert whole_chunks(buffered) == 1


def test_line_ends_within_a_chunk_do_not_part_it() -> None:
    assert whole_chunks(chunk(b"a\r\n5\r\nb\r\n") + chunk(b"c")) == 2


def test_the_end_of_the_answer_can_be_read_too() -> None:
    assert whole_chunks(chunk(b"a") + LAST) == 2


@pytest.mark.parametrize("buffered", [b"", b"\r\n", b"data", b"\r\n5;a=b\r\nhello", b"\r\nzz\r\n"])
def test_what_is_no_plain_chunk_is_left_to_an_ordinary_read(buffered: bytes) -> None:
    assert whole_chunks(buffered) == 0
