"""Rows of a batch with several providers: each is answered once, by one that can."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

import pytest

from llm_relay.api import relay
from llm_relay.batch.model.execution import StepFailed
from llm_relay.batch.worker.concurrency import INITIAL_LIMIT
from llm_relay.billing.admission import admit
from llm_relay.providers import circuit_breaker
from llm_relay.providers.circuit_breaker import FAILURES
from llm_relay.providers.dialects.dialect import OPENAI
from tests.functions.batch.test_worker_budgets import PLENTY, owned
from tests.functions.test_batch_plan import BODY, now_of, plan, row
from tests.support.batch_environment import CHAT
from tests.support.chunk_runs import worker_setup
from tests.support.failing_provider import COST_USD, rows
from tests.support.ledger_accounts import client
from tests.support.payloads import INPUT
from tests.support.priced_provider import LISTED
from tests.support.provider_pair import NO
from tests.support.scripted_provider import RESET, ScriptedProvider, whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.batch_environment import BatchAws
    from tests.support.chunk_runs import ChunkRun, WorkerSetup
    from tests.support.ledger_accounts import Accounts

__all__ = ["worker_setup"]
URL = "http://127.0.0.1:1/v1"
REFUSES = whole(503, NO)
UNPRICED = LISTED | {"pricing": None}


def name(entries: list[dict[str, Any]], environment: pytest.MonkeyPatch) -> None:
    environment.setenv("PROVIDERS", json.dumps(entries))
    relay.provider_router.cache_clear()
    circuit_breaker.circuit_store.cache_clear()


@pytest.fixture
def first(
    worker_setup: WorkerSetup, accounts: Accounts, request: pytest.FixtureRequest
) -> Iterator[Any]:
    """A provider that is asked before the worker_setup's own."""
    with ScriptedProvider([REFUSES]) as provider:
        names = (f"{request.node.name[:20].replace('_', '-')}-{n}" for n in (1, 2))
        urls = (provider.base_url, worker_setup.provider.base_url)
        entries = [{"name": n, "base_url": u} for n, u in zip(names, urls, strict=True)]
        name(entries, worker_setup.world.environment)
        yield provider
        circuit_breaker.circuit_store.cache_clear()


def answered_by(work: ChunkRun) -> list[tuple[int, str]]:
    """Status and provider of each line."""
    responses = [each["response"] for _, each in sorted(work.lines().items())]
    return [(each["status_code"], each["provider"][-1]) for each in responses]


def test_rows_that_the_first_provider_refuses_are_answered_by_the_next(
    worker_setup: WorkerSetup, first: ScriptedProvider, accounts: Accounts
) -> None:
    first.scripts = [whole(200, {"data": [LISTED]}), REFUSES]
    work = owned(worker_setup, *["200"] * 200)
    assert work.run()["left"] == 0
    assert answered_by(work) == [(200, "2")] * 200
    assert set(worker_setup.provider.asked.values()) == {1}
    asked = [request for request in first.requests if request.method == "POST"]
    assert FAILURES <= len(asked) < 200  # its circuit has opened meanwhile
    assert accounts.read().spent == round(200 * COST_USD * 10**9)


def test_rows_whose_call_was_interrupted_are_not_sent_to_another_provider(
    worker_setup: WorkerSetup, first: ScriptedProvider
) -> None:
    first.scripts = [[RESET]]
    work = worker_setup.rows_with(*["200"] * (FAILURES - 1))
    assert work.run()["left"] == 0
    assert answered_by(work) == [(502, "1")] * (FAILURES - 1)
    assert sum(worker_setup.provider.asked.values()) == 0


def test_a_row_whose_model_the_first_provider_lacks_goes_to_the_next(
    worker_setup: WorkerSetup, first: ScriptedProvider
) -> None:
    entries = json.loads(os.environ["PROVIDERS"])
    entries[0]["models"] = {"another": "another"}
    name(entries, worker_setup.world.environment)
    work = worker_setup.rows_with("200")
    assert work.run()["left"] == 0
    assert answered_by(work) == [(200, "2")]
    assert [request for request in first.requests if request.method == "POST"] == []


def test_a_row_that_the_first_providers_dialect_refuses_goes_to_the_next(
    worker_setup: WorkerSetup, first: ScriptedProvider
) -> None:
    entries = json.loads(os.environ["PROVIDERS"])
    entries[0]["dialect"] = "abliteration"
    name(entries, worker_setup.world.environment)
    work = worker_setup.chunk_run(rows(["200"], tools={}))
    assert work.run()["left"] == 0
    assert answered_by(work) == [(200, "2")]
    assert [request for request in first.requests if request.method == "POST"] == []


def test_a_plan_takes_a_row_that_any_provider_can_answer(batch_aws: BatchAws) -> None:
    entries = [
        {"name": "a", "base_url": URL, "dialect": "abliteration", "models": {"m-1": "m-1"}},
        {"name": "b", "base_url": URL, "models": {"m-1": "m-1", "m-2": "m-2"}},
    ]
    name(entries, batch_aws.environment)
    body = BODY | {"instructions": "Be brief."}
    bodies = [body | {"model": model} for model in ("m-1", "m-2", "m-3")]
    content = b"".join(row(str(at), body=each) for at, each in enumerate(bodies))
    outcome = plan(batch_aws.add_batch(content))
    assert outcome["outcome"] == "failed"
    errors = now_of(batch_aws, outcome).errors
    assert [(each["line"], each["code"]) for each in errors] == [(3, "model_not_found")]


def test_a_plan_takes_the_endpoint_from_the_first_row_for_all_providers(
    batch_aws: BatchAws,
) -> None:
    name([{"name": n, "base_url": URL} for n in "ab"], batch_aws.environment)
    content = row("1") + row("2", url="/v1/responses", body=INPUT)
    outcome = plan(batch_aws.add_batch(content, endpoint=""))
    errors = now_of(batch_aws, outcome).errors
    assert [(each["line"], each["code"]) for each in errors] == [(2, "mismatched_url")]


def test_a_plan_does_not_fail_for_an_unavailable_model_list(
    worker_setup: WorkerSetup, first: ScriptedProvider
) -> None:
    entries = json.loads(os.environ["PROVIDERS"])
    entries[1]["base_url"] = URL
    name(entries, worker_setup.world.environment)
    first.scripts = [whole(200, {"data": [UNPRICED]})]
    batch = worker_setup.world.add_batch(rows(["200"]), client=client(PLENTY))
    with pytest.raises(StepFailed):
        plan(batch)


@pytest.mark.parametrize("listing", [REFUSES, whole(200, {"data": [UNPRICED]})])
def test_rows_wait_for_unavailable_prices(
    worker_setup: WorkerSetup, first: ScriptedProvider, accounts: Accounts, listing: Any
) -> None:
    entries = json.loads(os.environ["PROVIDERS"])
    name([entries[0], entries[1] | {"base_url": URL}], worker_setup.world.environment)
    first.scripts = [listing]
    work = owned(worker_setup, "200", "200")
    answer = work.run()
    assert (answer["left"], answer["silent_invocations"], work.results()) == (2, 1, [])
    assert answer["wait_seconds"] > 0
    name(entries, worker_setup.world.environment)
    assert work.run()["left"] == 0
    assert answered_by(work) == [(200, "2")] * 2


def test_a_row_above_the_first_providers_limits_goes_to_the_next(
    worker_setup: WorkerSetup, first: ScriptedProvider
) -> None:
    cool = LISTED | {"sampling_limits": {"temperature": {"maximum": 1}}}
    first.scripts = [whole(200, {"data": [cool]}), whole(400, NO)]
    work = worker_setup.chunk_run(rows(["200"], temperature=1.5))
    assert work.run()["left"] == 0
    assert answered_by(work) == [(200, "2")]


def test_each_provider_gets_its_own_cap_and_the_most_expensive_is_reserved(
    worker_setup: WorkerSetup, first: ScriptedProvider, accounts: Accounts
) -> None:
    first.scripts = [whole(200, {"data": [LISTED | {"max_output_length": 5000}]}), REFUSES]
    asking = client(PLENTY, max_output_tokens=8000)
    work = worker_setup.chunk_run(rows(["reset"], max_tokens=None), client=asking)
    assert work.run()["left"] == 0
    sent = [json.loads(each.body) for each in first.requests if each.method == "POST"]
    assert [each["max_tokens"] for each in sent] == [5000]
    last = json.loads(worker_setup.provider.last_body)
    assert last["max_tokens"] == 8000
    assert accounts.read().spent == admit(asking, CHAT[3:], last, LISTED, OPENAI).max_cost_nanos


def test_rows_that_the_next_provider_answers_are_not_slowed_by_the_first_ones_limit(
    worker_setup: WorkerSetup, first: ScriptedProvider
) -> None:
    first.scripts = [whole(200, {"data": [LISTED]}), whole(429, NO, retry_after="60")]
    work, started = worker_setup.rows_with(*["200"] * 12), time.monotonic()
    assert work.run()["left"] == 0
    assert time.monotonic() - started < 30  # and not 5 s for each row
    assert answered_by(work) == [(200, "2")] * 12
    asked = [request for request in first.requests if request.method == "POST"]
    assert len(asked) <= INITIAL_LIMIT  # at once, before it was known
