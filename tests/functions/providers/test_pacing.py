"""A batch worker at a provider that limits requests, and reports its limit or not."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from functions.chat_completions.handler import handler as chat
from llm_relay.api import relay
from tests.functions.conftest import Context, proxy_event, taken
from tests.support.batch_environment import batch_aws
from tests.support.chunk_runs import worker_setup
from tests.support.failing_provider import rows
from tests.support.payloads import QUESTION
from tests.support.priced_provider import MODEL
from tests.support.rate_limited_provider import RateLimitedProvider

if TYPE_CHECKING:
    from tests.support.chunk_runs import WorkerSetup
    from tests.support.scripted_provider import ScriptedProvider

__all__ = ["batch_aws", "worker_setup"]

ROWS = 200
SECONDS = 15  # of the worker's, most of which it keeps to close
_CALL = proxy_event("POST", "/v1/chat/completions", QUESTION | {"model": MODEL})


def use(worker_setup: WorkerSetup, provider: ScriptedProvider) -> None:
    """Have a worker use a provider, of whose limit it knows from one answer."""
    worker_setup.world.environment.setenv("UPSTREAM_BASE_URL", provider.base_url)
    relay.provider_router.cache_clear()
    taken(chat(_CALL, Context(60, time.monotonic())))


def test_rows_keep_within_a_limit_that_is_reported(worker_setup: WorkerSetup) -> None:
    reporting, silent = RateLimitedProvider(), RateLimitedProvider(sends_headers=False)
    with reporting, silent:
        use(worker_setup, reporting)
        worker_setup.chunk_run(rows(["200"] * ROWS)).run(seconds=SECONDS)
        use(worker_setup, silent)
        worker_setup.chunk_run(rows(["200"] * ROWS)).run(seconds=SECONDS)
    assert reporting.answered > 40
    assert reporting.refused < reporting.answered * 0.15
    assert silent.refused > silent.answered * 0.15


def test_rows_are_spread_over_the_time_until_the_limit_resets(
    worker_setup: WorkerSetup,
) -> None:
    with RateLimitedProvider(limit=100, seconds=60) as provider:
        use(worker_setup, provider)
        work = worker_setup.chunk_run(rows(["200"] * 60))
        assert work.run(seconds=13)["left"] > 30  # rows are taken for a second and a half of it
