"""What comes at once is passed on at once, and nothing waits for what has not come."""

from __future__ import annotations

import gzip
import socket
import threading
from http.client import HTTPResponse
from typing import TYPE_CHECKING

import pytest
import urllib3

from llm_relay.incoming import Incoming
from tests.functions.payloads import DONE, STREAMED_QUESTION, delta
from tests.scripted_provider import CLOSE, PATIENCE_SECONDS, stream

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.functions.conftest import Answered
    from tests.scripted_provider import Script, ScriptedProvider

FIRST, SECOND = delta("first"), delta("second", "stop")
EVENTS = FIRST + SECOND + DONE


@pytest.mark.parametrize("cut", [0, 1, 2, 3, 4, 5, 40, -2, -1])
def test_an_event_does_not_wait_for_the_rest_of_a_chunk_behind_it(
    provider: ScriptedProvider, ask: Callable[..., Answered], cut: int
) -> None:
    head, first, second, *rest = stream(FIRST, SECOND, DONE)
    got_it = threading.Barrier(2)
    provider.scripts = [[head, first + second[:cut], got_it, second[cut:], *rest]]
    answer = ask(STREAMED_QUESTION, at_first=lambda: got_it.wait(PATIENCE_SECONDS))
    assert answer.body == FIRST + SECOND + DONE


def test_a_burst_in_one_piece_arrives_byte_for_byte(
    provider: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    events = [delta(f"word {number} ") for number in range(2000)] + [SECOND, DONE]
    provider.scripts = [[b"".join(stream(*events))]]
    assert ask(STREAMED_QUESTION).body == b"".join(events)


def test_a_burst_of_many_pieces_is_taken_as_one() -> None:
    # Datagrams stay apart, as the records of TLS do.
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs, HTTPResponse(ours) as head:
        for piece in stream(FIRST, *[SECOND] * 5):
            theirs.send(piece)
        head.begin()
        body = Incoming(urllib3.HTTPResponse(head, preload_content=False))
        assert [body.take(1) for _ in range(3)] == [FIRST, SECOND * 5, b""]


def test_a_burst_that_breaks_off_arrives_up_to_there(
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
def test_a_connection_is_used_again_if_the_answer_s_end_leaves_it_clean(
    provider: ScriptedProvider, ask: Callable[..., Answered], answer: Script, connections: int
) -> None:
    provider.scripts = [answer]
    assert [ask(STREAMED_QUESTION).body for _ in range(2)] == [EVENTS, EVENTS]
    assert provider.connections == connections


def test_events_of_an_answer_without_chunks_or_length_are_passed_on_as_they_come(
    provider: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    got_it = threading.Barrier(2)
    provider.scripts = [[unchunked(FIRST, b"connection: close"), got_it, SECOND + DONE, CLOSE]]
    answer = ask(STREAMED_QUESTION, at_first=lambda: got_it.wait(PATIENCE_SECONDS))
    assert answer.body == EVENTS


def test_an_answer_that_was_compressed_though_nobody_asked_for_it_is_read(
    provider: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    body = gzip.compress(EVENTS)
    lines = (b"content-encoding: gzip", b"content-length: %d" % len(body))
    provider.scripts = [[unchunked(body[:5], *lines), 0.1, body[5:]]]
    assert ask(STREAMED_QUESTION).body == EVENTS
