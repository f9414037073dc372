"""Regression tests of bugs that the random walk has found."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from bench.environment.certificate import make
from llm_relay.core.deadline import Deadline
from llm_relay.core.errors import UpstreamUnreachable
from llm_relay.streaming.sse import MAX_FRAME_BYTES, FrameBuffer
from llm_relay.transport.http_transport import HttpRequest, HttpTransport
from llm_relay.transport.settings import TransportSettings
from tests.faults.classify import classify
from tests.faults.fault import CHAT_STREAM, RESPONSE_STREAM, Outcome
from tests.faults.provider.answers import frames
from tests.faults.provider.connection_faults import TLS_FAULTS
from tests.faults.provider.faulty_provider import FaultyProvider
from tests.faults.provider.wire import ERROR, event, head
from tests.support.payloads import QUESTION, STREAMED_INPUT, STREAMED_QUESTION
from tests.support.scripted_provider import stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.faults.provider.faulty_provider import Greeting
    from tests.functions.conftest import Answered
    from tests.support.scripted_provider import ScriptedProvider


@pytest.fixture(scope="module")
def tls_provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyProvider]:
    with FaultyProvider(certificate=make(tmp_path_factory.mktemp("tls"))) as provider:
        yield provider


@pytest.mark.parametrize("greet", TLS_FAULTS.values(), ids=TLS_FAULTS)
def test_a_handshake_that_fails_has_sent_nothing(
    tls_provider: FaultyProvider, greet: Greeting
) -> None:
    assert tls_provider.certificate
    said = tls_provider.certificate.trust | {
        "UPSTREAM_BASE_URL": tls_provider.base_url,
        "UPSTREAM_CONNECT_SECONDS": "1",
    }
    upstream = HttpTransport(TransportSettings.from_mapping(said))
    request = HttpRequest(method="POST", path="/chat/completions", body=b"{}")
    with tls_provider.greeting(greet), pytest.raises(UpstreamUnreachable):
        upstream.send(request, "key", Deadline.after(60))


def test_a_provider_s_headers_are_sanitized_for_the_caller(
    provider: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    body = json.dumps({"choices": []}).encode()
    odd = (b"X-RateLimit-Reset: a\x0b\xff", b"X-Request-Id: \xe2\x82\xac", b"Retry-After: 1\x00")
    provider.scripts = [[head(f"Content-Length: {len(body)}", *odd) + body]]
    headers = ask(QUESTION).headers
    assert headers["x-ratelimit-reset"] == "a??"
    assert all(value.isascii() and value.isprintable() for value in headers.values())


def test_a_refusal_s_headers_are_sanitized_too(
    provider: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    provider.scripts = [
        [
            head(
                "Content-Length: 2", b"X-Request-Id: \x01", b"X-RateLimit-A: \x7f", status="400 No"
            )
            + b"{}"
        ]
    ]
    headers = ask(QUESTION).headers
    assert (headers["x-upstream-request-id"], headers["x-ratelimit-a"]) == ("?", "?")


def test_an_error_after_the_end_of_a_response_does_not_revoke_the_end(
    provider: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    events = frames(RESPONSE_STREAM, 1)
    provider.scripts = [stream(*events, event(ERROR))]
    answer = ask(STREAMED_INPUT, "responses")
    assert classify(RESPONSE_STREAM, answer.status, answer.body) == (Outcome.ANSWERED, "200", True)


def test_nothing_but_the_end_follows_the_end_of_a_chat(
    provider: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    events = frames(CHAT_STREAM, 1)
    provider.scripts = [stream(*events, event(ERROR), *events[:2])]
    wants = STREAMED_QUESTION | {"stream_options": {"include_usage": True}}
    assert ask(wants).body == b"".join(events)


def test_an_event_in_many_chunks_is_not_copied_for_each_of_them() -> None:
    buffer, chunk = FrameBuffer(), b"x" * 32768
    before = time.thread_time()
    held = [buffer.feed(chunk) for _ in range(MAX_FRAME_BYTES // len(chunk) - 1)]
    assert time.thread_time() - before < 5  # of CPU, and 30 s if it is copied
    assert not any(held)
