"""What comes at once is passed on at once, and nothing waits for what has not come."""

from __future__ import annotations

import gzip
import random
import socket
import struct
import threading
import zlib
from http.client import HTTPResponse
from typing import TYPE_CHECKING

import pytest
import urllib3

from llm_relay.core.errors import UpstreamFailed
from llm_relay.transport.body_reader import READ_BYTES, BodyReader
from tests.support.payloads import DONE, STREAMED_QUESTION, delta
from tests.support.scripted_provider import CLOSE, TIMEOUT_SECONDS, stream

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.functions.conftest import Answered
    from tests.support.scripted_provider import Script, ScriptedProvider

FIRST, SECOND = delta("first"), delta("second", "stop")
EVENTS = FIRST + SECOND + DONE


@pytest.mark.parametrize("cut", [0, 1, 2, 3, 4, 5, 40, -2, -1])
def test_an_event_does_not_wait_for_the_rest_of_a_chunk_behind_it(
    provider: ScriptedProvider, ask: Callable[..., Answered], cut: int
) -> None:
    head, first, second, *rest = stream(FIRST, SECOND, DONE)
    got_it = threading.Barrier(2)
    provider.scripts = [[head, first + second[:cut], got_it, second[cut:], *rest]]
    answer = ask(STREAMED_QUESTION, at_first=lambda: got_it.wait(TIMEOUT_SECONDS))
    assert answer.body == FIRST + SECOND + DONE


def test_a_burst_in_one_piece_arrives_byte_for_byte(
    provider: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    events = [delta(f"word {number} ") for number in range(2000)] + [SECOND, DONE]
    provider.scripts = [[b"".join(stream(*events))]]
    assert ask(STREAMED_QUESTION).body == b"".join(events)


def test_a_burst_of_many_pieces_is_processed_as_one() -> None:
    # Datagrams stay apart, as the records of TLS do.
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs, HTTPResponse(ours) as head:
        for piece in stream(FIRST, *[SECOND] * 5):
            theirs.send(piece)
        head.begin()
        body = BodyReader(urllib3.HTTPResponse(head, preload_content=False))
        assert [body.read(1) for _ in range(3)] == [FIRST, SECOND * 5, b""]


def test_an_interrupted_burst_arrives_up_to_the_interruption(
    provider: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    head, *chunks = stream(FIRST, FIRST, FIRST, end=False)
    provider.scripts = [[head + b"".join(chunks) + b"\r\nno size", CLOSE]]
    body = ask(STREAMED_QUESTION).body
    assert body.startswith(FIRST * 3)
    assert b'"code":"upstream_error"' in body


def unchunked(body: bytes, *lines: bytes) -> bytes:
    """Return an answer that is not in chunks."""
    head = (b"HTTP/1.1 200 Scripted", b"content-type: text/event-stream", *lines)
    return b"\r\n".join([*head, b"", body])


@pytest.mark.parametrize(
    ("answer", "connections"),
    [
        ([b"".join(stream(FIRST, SECOND, DONE))], 1),
        ([unchunked(EVENTS, b"content-length: %d" % len(EVENTS))], 1),
        ([unchunked(EVENTS, b"content-length: %d" % len(EVENTS)) + b"HTTP/1.1 200"], 2),
        ([b"".join(stream(FIRST, SECOND, DONE)) + b"HTTP/1.1 200"], 2),
        ([unchunked(EVENTS, b"connection: close"), CLOSE], 2),
    ],
)
def test_a_connection_is_reused_if_the_answer_leaves_it_clean(
    provider: ScriptedProvider, ask: Callable[..., Answered], answer: Script, connections: int
) -> None:
    provider.scripts = [answer]
    assert [ask(STREAMED_QUESTION).body for _ in range(2)] == [EVENTS, EVENTS]
    assert provider.connections == connections


def test_events_of_an_unframed_answer_are_forwarded_as_they_arrive(
    provider: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    got_it = threading.Barrier(2)
    provider.scripts = [[unchunked(FIRST, b"connection: close"), got_it, SECOND + DONE, CLOSE]]
    answer = ask(STREAMED_QUESTION, at_first=lambda: got_it.wait(TIMEOUT_SECONDS))
    assert answer.body == EVENTS


def test_an_unrequested_compressed_answer_is_read(
    provider: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    body = gzip.compress(EVENTS)
    lines = (b"content-encoding: gzip", b"content-length: %d" % len(body))
    provider.scripts = [[unchunked(body[:5], *lines), 0.1, body[5:]]]
    assert ask(STREAMED_QUESTION).body == EVENTS


def unpacked(head: HTTPResponse) -> BodyReader:
    """Return the body behind the head of a compressed answer that has come."""
    head.begin()
    headers = {"content-encoding": "gzip"}
    return BodyReader(urllib3.HTTPResponse(head, headers=headers, preload_content=False))


@pytest.mark.parametrize("rest", [b"", FIRST])
@pytest.mark.parametrize("is_early", [True, False])
def test_a_reset_is_not_the_end_of_an_unframed_answer(rest: bytes, is_early: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()

    def break_off() -> None:
        theirs.sendall(rest)
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        theirs.close()

    with ours, HTTPResponse(ours) as head:
        theirs.sendall(unchunked(b"", b"connection: close"))
        head.begin()
        if is_early:
            break_off()
        body = BodyReader(urllib3.HTTPResponse(head, preload_content=False))
        if not is_early:
            break_off()
        if rest:
            assert body.read(TIMEOUT_SECONDS) == rest
        with pytest.raises(UpstreamFailed):
            body.read(TIMEOUT_SECONDS)


@pytest.mark.parametrize("seed", range(3))
def test_a_compressed_answer_is_decompressed_a_piece_at_a_time(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - no secret
    plain = chance.randbytes(1000) + bytes(2_000_000 + seed) + chance.randbytes(1000)
    packed = gzip.compress(plain)
    ours, theirs = socket.socketpair()
    with ours, theirs, HTTPResponse(ours) as head:
        theirs.sendall(unchunked(packed, b"content-length: %d" % len(packed)))
        body = unpacked(head)
        pieces = list(iter(lambda: body.read(TIMEOUT_SECONDS), b""))
    assert b"".join(pieces) == plain
    assert max(map(len, pieces)) <= READ_BYTES


def test_bytes_that_decompress_to_nothing_count_as_silence() -> None:
    packer = zlib.compressobj(wbits=31)
    nothing = packer.compress(b"") + packer.flush(zlib.Z_SYNC_FLUSH)
    nothing += b"\x00\x00\x00\xff\xff" * 10_000
    ours, theirs = socket.socketpair()
    with ours, theirs, HTTPResponse(ours) as head:
        theirs.sendall(unchunked(nothing, b"connection: close"))
        body = unpacked(head)
        with pytest.raises(TimeoutError):
            body.read(0)
        assert ours.recv(1)  # what was no longer waited for
