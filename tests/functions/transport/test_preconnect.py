"""The provider is connected to while its key is fetched, and that can only help."""

from __future__ import annotations

import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING

import pytest

from bench.environment import certificate
from llm_relay.core.deadline import Deadline
from llm_relay.core.errors import UpstreamTimedOut, UpstreamUnreachable
from llm_relay.transport.http_transport import HttpRequest, HttpTransport
from llm_relay.transport.settings import TransportSettings
from tests.support.payloads import COMPLETION, QUESTION
from tests.support.scripted_provider import TIMEOUT_SECONDS, ScriptedProvider, wait_until, whole
from tests.support.stopwatch import Stopwatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.functions.conftest import Answered

_OK = whole(200, {"data": []})
_MODELS = HttpRequest(method="GET", path="/models")


def transport_of(base_url: str, **environment: str) -> HttpTransport:
    base = {"UPSTREAM_BASE_URL": base_url}
    return HttpTransport(TransportSettings.from_mapping(base | environment))


def call(transport: HttpTransport) -> int:
    reply = transport.send(_MODELS, "key", Deadline.after(TIMEOUT_SECONDS))
    reply.read_all(Deadline.after(TIMEOUT_SECONDS))
    reply.close()
    return reply.status


def test_the_provider_connection_opens_while_the_secret_is_read(
    provider: ScriptedProvider,
    ask: Callable[..., Answered],
    environment: pytest.MonkeyPatch,
) -> None:
    gate = Barrier(2)
    with ScriptedProvider([[gate, *whole(200, {"SecretString": "ak"})]]) as secrets:
        environment.setenv("AWS_ENDPOINT_URL", secrets.base_url.removesuffix("/v1"))
        provider.scripts = [whole(200, COMPLETION)]
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(ask, QUESTION)
            try:
                wait_until(lambda: provider.connections == 1)
            finally:
                gate.wait(TIMEOUT_SECONDS)
            assert answer.result().status == 200
    assert provider.connections == 1


def test_a_refused_request_opens_no_connection(
    provider: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    assert ask({"messages": []}).status == 400
    assert provider.connections == 0


def test_many_first_calls_share_the_opened_connection_and_open_the_rest() -> None:
    with ScriptedProvider([_OK]) as provider:
        transport = transport_of(provider.base_url)
        transport.preconnect()
        with ThreadPoolExecutor(4) as pool:
            assert set(pool.map(lambda _: call(transport), range(4))) == {200}
        assert 1 <= provider.connections <= 4


def test_an_unused_preconnection_is_not_opened_twice() -> None:
    with ScriptedProvider([_OK]) as provider:
        transport = transport_of(provider.base_url)
        for _ in range(2):
            transport.preconnect()
            transport.wait_for_preconnect(TIMEOUT_SECONDS)
        assert call(transport) == 200
        assert provider.connections == 1


def test_a_failed_preconnection_is_retried_by_the_call() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        transport = transport_of(f"http://127.0.0.1:{port}/v1")
        transport.preconnect()  # refused, as no server listens yet
        transport.wait_for_preconnect(TIMEOUT_SECONDS)
        unused.listen()
        with ThreadPoolExecutor(1) as pool:
            status = pool.submit(call, transport)
            connection, _ = unused.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"".join(_OK))
                assert status.result() == 200


class TlsProvider:
    """A provider that shakes hands on command."""

    def __init__(self, certified: certificate.Certificate) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certified.chain, certified.key)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(TIMEOUT_SECONDS)
        base_url = f"https://127.0.0.1:{self.listener.getsockname()[1]}/v1"
        self.transport = transport_of(base_url, REQUESTS_CA_BUNDLE=str(certified.bundle))

    def accept(self) -> ssl.SSLSocket:
        """Take a connection as far as to its tickets."""
        connection, _ = self.listener.accept()
        connection.settimeout(TIMEOUT_SECONDS)
        return self._context.wrap_socket(connection, server_side=True)


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> certificate.Certificate:
    return certificate.make(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def tls_provider(certified: certificate.Certificate) -> Iterator[TlsProvider]:
    made = TlsProvider(certified)
    with made.listener:
        yield made


def test_a_tls_preconnection_is_used_by_the_call(
    tls_provider: TlsProvider,
) -> None:
    tls_provider.transport.preconnect()
    with tls_provider.accept() as connection, ThreadPoolExecutor(1) as pool:
        assert connection.version() == "TLSv1.3"
        tls_provider.transport.wait_for_preconnect(TIMEOUT_SECONDS)
        status = pool.submit(call, tls_provider.transport)
        assert connection.recv(65536).startswith(b"GET /v1/models ")
        connection.sendall(b"".join(_OK))
        assert status.result() == 200


def test_leftover_bytes_in_a_tls_connection_are_not_the_next_answer(
    tls_provider: TlsProvider,
) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
    length = 8192 - len(head % 8000)  # as much as http.client reads at once, and no more
    answer = head % length + b"x" * length
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(call, tls_provider.transport)
        with tls_provider.accept() as connection:
            connection.recv(65536)
            connection.sendall(answer + b"".join(whole(500, {})))
            assert first.result() == 200
            second = pool.submit(call, tls_provider.transport)
            with tls_provider.accept() as another:
                another.recv(65536)
                another.sendall(b"".join(_OK))
                assert second.result() == 200


def seconds_until_too_late(transport: HttpTransport, seconds: float) -> float:
    with Stopwatch() as took, pytest.raises((UpstreamTimedOut, UpstreamUnreachable)):
        transport.send(_MODELS, "key", Deadline.after(seconds))
    return took.seconds


def test_time_spent_preconnecting_counts_against_the_connect_timeout(
    tls_provider: TlsProvider,
) -> None:
    tls_provider.transport.preconnect()  # no handshake happens
    assert seconds_until_too_late(tls_provider.transport, 2) < 3.5


def test_time_spent_connecting_counts_against_the_first_byte_timeout(
    tls_provider: TlsProvider,
) -> None:
    with ThreadPoolExecutor(1) as pool:
        took = pool.submit(seconds_until_too_late, tls_provider.transport, 7)
        time.sleep(2)  # the provider is that slow to shake hands
        with tls_provider.accept():
            assert took.result() < 8.5
