"""The provider is connected to while its key is fetched, and that can only help."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING

from llm_relay.deadline import Deadline
from llm_relay.settings import UpstreamSettings
from llm_relay.upstream import Upstream, UpstreamRequest
from tests.functions.payloads import COMPLETION, QUESTION
from tests.scripted_provider import PATIENCE_SECONDS, ScriptedProvider, wait_until, whole

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from tests.functions.conftest import Answered

_OK = whole(200, {"data": []})
_MODELS = UpstreamRequest(method="GET", path="/models")


def upstream_of(base_url: str) -> Upstream:
    return Upstream(UpstreamSettings.from_mapping({"UPSTREAM_BASE_URL": base_url}))


def call(upstream: Upstream) -> int:
    reply = upstream.send(_MODELS, "key", Deadline.after(PATIENCE_SECONDS))
    reply.whole(Deadline.after(PATIENCE_SECONDS))
    reply.close()
    return reply.status


def test_the_provider_is_connected_to_while_secrets_manager_is_asked(
    provider: ScriptedProvider,
    ask: Callable[..., Answered],
    environment: pytest.MonkeyPatch,
) -> None:
    told = Barrier(2)
    with ScriptedProvider([[told, *whole(200, {"SecretString": "ak"})]]) as secrets:
        environment.setenv("AWS_ENDPOINT_URL", secrets.base_url.removesuffix("/v1"))
        provider.scripts = [whole(200, COMPLETION)]
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(ask, QUESTION)
            try:
                wait_until(lambda: provider.connections == 1)
            finally:
                told.wait(PATIENCE_SECONDS)
            assert answer.result().status == 200
    assert provider.connections == 1


def test_a_request_that_is_refused_makes_no_connection(
    provider: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    assert ask({"messages": []}).status == 400
    assert provider.connections == 0


def test_many_first_calls_share_what_was_opened_and_open_the_rest() -> None:
    with ScriptedProvider([_OK]) as provider:
        upstream = upstream_of(provider.base_url)
        upstream.open_ahead()
        with ThreadPoolExecutor(4) as pool:
            assert set(pool.map(lambda _: call(upstream), range(4))) == {200}
        assert 1 <= provider.connections <= 4


def test_a_connection_opened_in_vain_is_not_opened_twice() -> None:
    with ScriptedProvider([_OK]) as provider:
        upstream = upstream_of(provider.base_url)
        for _ in range(2):
            upstream.open_ahead()
            upstream.wait_for_opening(PATIENCE_SECONDS)
        assert call(upstream) == 200
        assert provider.connections == 1


def test_a_connection_that_failed_ahead_is_tried_again_by_the_call() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        upstream = upstream_of(f"http://127.0.0.1:{port}/v1")
        upstream.open_ahead()  # refused, as nobody listens yet
        upstream.wait_for_opening(PATIENCE_SECONDS)
        unused.listen()
        with ThreadPoolExecutor(1) as pool:
            status = pool.submit(call, upstream)
            connection, _ = unused.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"".join(_OK))
                assert status.result() == 200
