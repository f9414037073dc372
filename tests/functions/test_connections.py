"""Connections to the provider that are kept, shared among threads, and dropped in time."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from llm_relay.deadline import Deadline
from llm_relay.settings import UpstreamSettings
from llm_relay.upstream import Upstream, UpstreamRequest
from tests.scripted_provider import ScriptedProvider, whole

if TYPE_CHECKING:
    from collections.abc import Iterable

_OK = whole(200, {"data": []})
_SLOW = [0.5, *_OK]


def upstream_of(provider: ScriptedProvider, **environment: str) -> Upstream:
    base = {"UPSTREAM_BASE_URL": provider.base_url}
    return Upstream(UpstreamSettings.from_mapping(base | environment))


def call(upstream: Upstream) -> int:
    deadline = Deadline.after(20)
    request = UpstreamRequest(method="GET", path="/models")
    reply = upstream.send(request, "key", deadline)
    try:
        reply.whole(deadline)
    finally:
        reply.close()
    return reply.status


def calls_at_once(upstream: Upstream, count: int) -> Iterable[int]:
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda _: call(upstream), range(count)))


def test_a_connection_that_idled_too_long_is_not_used_though_others_are_busy() -> None:
    with ScriptedProvider([_SLOW, _SLOW, _OK]) as provider:
        upstream = upstream_of(provider, UPSTREAM_KEEP_SECONDS="1")
        calls_at_once(upstream, 2)
        assert provider.connections == 2
        ends = time.monotonic() + 2
        while time.monotonic() < ends:  # one of them stays busy, the other grows old
            call(upstream)
            time.sleep(0.05)
        assert provider.connections == 2
        provider.scripts = [_SLOW]
        calls_at_once(upstream, 2)
        assert provider.connections == 3


def test_as_many_connections_are_kept_as_the_settings_say() -> None:
    with ScriptedProvider([_SLOW]) as provider:
        upstream = upstream_of(provider, UPSTREAM_CONNECTIONS="20")
        assert set(calls_at_once(upstream, 20)) == {200}
        assert set(calls_at_once(upstream, 20)) == {200}
        assert provider.connections == 20
