"""Connections to the provider that are kept, shared among threads, and dropped in time."""

from __future__ import annotations

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from llm_relay.core.deadline import Deadline
from llm_relay.core.errors import UpstreamFailed, UpstreamUnreachable
from llm_relay.transport.connections import SingleWriteConnection
from llm_relay.transport.http_transport import HttpRequest, HttpTransport
from llm_relay.transport.settings import TransportSettings
from tests.support.scripted_provider import CLOSE, RESET, TIMEOUT_SECONDS, ScriptedProvider, whole

if TYPE_CHECKING:
    from collections.abc import Iterable

_OK = whole(200, {"data": []})


def transport_of(provider: ScriptedProvider, **environment: str) -> HttpTransport:
    base = {"UPSTREAM_BASE_URL": provider.base_url}
    return HttpTransport(TransportSettings.from_mapping(base | environment))


def call(transport: HttpTransport) -> int:
    deadline = Deadline.after(TIMEOUT_SECONDS)
    request = HttpRequest(method="GET", path="/models")
    reply = transport.send(request, "key", deadline)
    try:
        reply.read_all(deadline)
    finally:
        reply.close()
    return reply.status


def calls_at_once(transport: HttpTransport, count: int) -> Iterable[int]:
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda _: call(transport), range(count)))


def test_an_idle_connection_is_not_reused_after_its_limit_even_if_others_are_busy() -> None:
    together = [threading.Barrier(2), *_OK]
    with ScriptedProvider([together, together, _OK]) as provider:
        transport = transport_of(provider, UPSTREAM_KEEP_SECONDS="5")
        calls_at_once(transport, 2)
        assert provider.connections == 2
        ends = time.monotonic() + 5.5
        while time.monotonic() < ends:  # one of them stays busy, the other grows old
            call(transport)
            time.sleep(0.05)
        assert provider.connections == 2
        provider.scripts = [together]
        calls_at_once(transport, 2)
        assert provider.connections == 3


def test_connections_are_kept_up_to_the_configured_number() -> None:
    with ScriptedProvider([[threading.Barrier(20), *_OK]]) as provider:
        transport = transport_of(provider, UPSTREAM_CONNECTIONS="20", UPSTREAM_KEEP_SECONDS="60")
        assert set(calls_at_once(transport, 20)) == {200}
        assert set(calls_at_once(transport, 20)) == {200}
        assert provider.connections == 20


def test_a_proxy_of_the_environment_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with ScriptedProvider([_OK]) as proxy:
        monkeypatch.setenv("http_proxy", proxy.base_url.removesuffix("/v1"))
        settings = TransportSettings.from_mapping({"UPSTREAM_BASE_URL": "http://provider.test/v1"})
        transport = HttpTransport(settings)
        assert [call(transport), call(transport)] == [200, 200]
        assert {each.path for each in proxy.requests} == {"http://provider.test/v1/models"}
        assert proxy.connections == 1


@pytest.mark.parametrize("end", [CLOSE, RESET])
def test_a_proxy_that_closes_after_the_request_may_have_forwarded_it(
    monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    with ScriptedProvider([[end]]) as proxy:
        monkeypatch.setenv("http_proxy", proxy.base_url.removesuffix("/v1"))
        settings = TransportSettings.from_mapping({"UPSTREAM_BASE_URL": "http://provider.test/v1"})
        with pytest.raises(UpstreamFailed):
            call(HttpTransport(settings))


def test_a_proxy_that_refuses_to_connect_has_forwarded_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with ScriptedProvider([whole(407, {})]) as proxy:
        monkeypatch.setenv("https_proxy", proxy.base_url.removesuffix("/v1"))
        settings = TransportSettings.from_mapping({"UPSTREAM_BASE_URL": "https://provider.test/v1"})
        with pytest.raises(UpstreamUnreachable):
            call(HttpTransport(settings))
        assert [each.method for each in proxy.requests] == ["CONNECT"]


@pytest.mark.parametrize("host", ["api..example.com", "*.example.com"])
def test_an_invalid_host_cannot_be_reached(host: str) -> None:
    transport = HttpTransport(
        TransportSettings.from_mapping({"UPSTREAM_BASE_URL": f"https://{host}/v1"})
    )
    with pytest.raises(UpstreamUnreachable):
        call(transport)


@pytest.mark.parametrize("head", [b"200 OK\r\nContent-Length: 0", b"204 No Content"])
def test_bytes_after_a_bodiless_answer_are_not_the_next_answer(
    head: bytes,
) -> None:
    with ScriptedProvider([[b"HTTP/1.1 %b\r\n\r\n" % head + _OK[0]], _OK]) as provider:
        transport = transport_of(provider)
        call(transport)
        assert call(transport) == 200
        assert provider.connections == 2


def test_each_request_has_its_own_key_body_and_content_length() -> None:
    with ScriptedProvider([_OK]) as provider:
        transport = transport_of(provider)
        for key, body in (("key-1", b"{}"), ("key-2", b'{"a": 1}'), ("key-3", None)):
            request = HttpRequest(method="POST" if body else "GET", path="/a", body=body)
            transport.send(request, key, Deadline.after(20)).close()
        sent = [(each.headers["authorization"], each.body) for each in provider.requests]
        assert sent == [
            ("Bearer key-1", b"{}"),
            ("Bearer key-2", b'{"a": 1}'),
            ("Bearer key-3", b""),
        ]
        lengths = [each.headers.get("content-length") for each in provider.requests]
        assert lengths == ["2", "8", None]
        assert {each.headers["user-agent"] for each in provider.requests} == {"llm-relay"}


def test_a_request_is_sent_in_one_write() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)  # keeps pieces apart
    with ours, theirs:
        connection = SingleWriteConnection("provider")
        connection.sock = ours
        connection.request("POST", "/v1/responses", body=b"{}", headers={"accept": "*/*"})
        sent = theirs.recv(65536)
    assert sent.startswith(b"POST /v1/responses HTTP/1.1\r\n")
    assert sent.endswith(b"\r\n\r\n{}")
