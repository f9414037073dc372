"""Callers and a batch worker at a provider that limits requests, and says so or not."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from functions.chat_completions.handler import handler as chat
from llm_relay.api import relay
from tests.functions.conftest import Context, proxy_event, taken
from tests.support.batch_environment import batch_world
from tests.support.chunk_runs import office
from tests.support.failing_provider import rows
from tests.support.paying_provider import MODEL
from tests.support.payloads import COMPLETION, QUESTION
from tests.support.rate_limited_provider import LimitedProvider
from tests.support.scripted_provider import whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.functions.conftest import Answered, Secret
    from tests.support.chunk_runs import Office
    from tests.support.scripted_provider import Script, ScriptedProvider

__all__ = ["batch_world", "office"]

CALLERS, CALLS, ROWS = 50, 3, 200
SECONDS = 15  # of the worker's, most of which it keeps to close
_CALL = proxy_event("POST", "/v1/chat/completions", QUESTION | {"model": MODEL})


def left(count: int, reset: str) -> Script:
    told = {"limit": "5", "remaining": str(count)}
    headers = {f"x_ratelimit_{name}_requests": value for name, value in told.items()}
    return whole(200, COMPLETION, **headers, x_ratelimit_reset_requests=reset)


def ask_often(times: int = 1) -> None:
    """Ask so often, one call after the other."""
    for _ in range(times):
        taken(chat(_CALL, Context(60, time.monotonic())))


def load(office: Office, provider: LimitedProvider) -> None:
    """Have many callers and a batch ask at once."""
    for name, value in {
        "UPSTREAM_BASE_URL": provider.base_url,
        "UPSTREAM_CONNECTIONS": "96",
    }.items():
        office.world.environment.setenv(name, value)
    relay.providers.cache_clear()
    ask_often()  # nothing is known of a limit before the first answer
    work = office.work(rows(["200"] * ROWS))
    with ThreadPoolExecutor(CALLERS + 1) as pool:
        batch = pool.submit(work.run, seconds=SECONDS)
        list(pool.map(ask_often, [CALLS] * CALLERS))
        batch.result()


def test_callers_and_a_batch_keep_within_a_limit_that_is_told(office: Office) -> None:
    telling, silent = LimitedProvider(), LimitedProvider(tells=False)
    with telling, silent:
        load(office, telling)
        load(office, silent)
    assert telling.answered > CALLERS * CALLS * 0.8
    assert telling.refused < telling.answered * 0.15
    assert silent.refused > silent.answered * 0.4


def test_a_call_waits_for_a_window_that_is_near_and_tells_of_it_as_waiting(
    provider: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    provider.scripts = [left(0, "1s"), left(4, "1s")]
    ask(QUESTION)
    started = time.monotonic()
    answer = ask(QUESTION)
    seconds = time.monotonic() - started
    assert answer.status == 200
    assert seconds - float(answer.headers["x-relay-overhead-ms"]) / 1000 > 0.5
    assert answer.headers["x-relay-attempts"] == "1"


def test_a_call_for_which_there_is_no_room_for_long_is_the_provider_s_to_judge(
    provider: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    provider.scripts = [left(0, "60s")]
    assert [ask(QUESTION).status for _ in range(3)] == [200, 200, 200]
    assert len(provider.requests) == 3


def test_a_key_without_room_gives_way_to_one_that_has_some(
    provider: ScriptedProvider, ask: Callable[..., Answered], secret: Secret
) -> None:
    secret.put(json.dumps({"api_keys": ["ak_a", "ak_b"]}))
    provider.scripts = [left(0, "60s"), left(4, "60s")]
    for _ in range(4):
        ask(QUESTION)
    sent = [request.headers["authorization"] for request in provider.requests]
    assert sent == [f"Bearer ak_{name}" for name in "abbb"]


def test_rows_are_spread_over_the_time_until_the_limit_starts_afresh(office: Office) -> None:
    with LimitedProvider(limit=100, seconds=60) as provider:
        office.world.environment.setenv("UPSTREAM_BASE_URL", provider.base_url)
        relay.providers.cache_clear()
        ask_often()
        work = office.work(rows(["200"] * 60))
        assert work.run(seconds=13)["left"] > 30  # rows are taken for a second and a half of it
