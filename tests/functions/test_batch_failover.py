"""Rows of a batch with several providers: each is answered once, by one that can."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from llm_relay import circuit, relay
from llm_relay.circuit import FAILURES
from tests.functions.chunk_work import office
from tests.functions.fated_provider import COST_USD
from tests.functions.provider_pair import NO
from tests.functions.test_batch_plan import BODY, now_of, plan, row
from tests.functions.test_batch_worker_budgets import owned
from tests.paying_provider import LISTED
from tests.scripted_provider import RESET, ScriptedProvider, whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.functions.accounts import Accounts
    from tests.functions.batch_world import BatchWorld
    from tests.functions.chunk_work import Office, Work

__all__ = ["office"]
URL = "http://127.0.0.1:1/v1"
REFUSES = whole(503, NO)


def name(entries: list[dict[str, Any]], environment: pytest.MonkeyPatch) -> None:
    environment.setenv("PROVIDERS", json.dumps(entries))
    relay.providers.cache_clear()
    circuit.forget()


@pytest.fixture
def first(office: Office, accounts: Accounts, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A provider that is asked before the office's own."""
    with ScriptedProvider([REFUSES]) as provider:
        names = (f"{request.node.name[:20].replace('_', '-')}-{n}" for n in (1, 2))
        urls = (provider.base_url, office.provider.base_url)
        entries = [{"name": n, "base_url": u} for n, u in zip(names, urls, strict=True)]
        name(entries, office.world.environment)
        yield provider
        circuit.forget()


def answered_by(work: Work) -> list[tuple[int, str]]:
    """Status and provider of each line."""
    responses = [each["response"] for _, each in sorted(work.lines().items())]
    return [(each["status_code"], each["provider"][-1]) for each in responses]


def test_rows_that_the_first_refuses_are_answered_by_the_next(
    office: Office, first: ScriptedProvider, accounts: Accounts
) -> None:
    first.scripts = [whole(200, {"data": [LISTED]}), REFUSES]
    work = owned(office, *["200"] * 200)
    assert work.run()["left"] == 0
    assert answered_by(work) == [(200, "2")] * 200
    assert set(office.provider.asked.values()) == {1}
    asked = [request for request in first.requests if request.method == "POST"]
    assert FAILURES <= len(asked) < 200  # its circuit has opened meanwhile
    assert accounts.read().spent == round(200 * COST_USD * 10**9)


def test_rows_that_break_off_at_the_first_are_asked_nowhere_else(
    office: Office, first: ScriptedProvider
) -> None:
    first.scripts = [[RESET]]
    work = office.fated(*["200"] * (FAILURES - 1))
    assert work.run()["left"] == 0
    assert answered_by(work) == [(502, "1")] * (FAILURES - 1)
    assert sum(office.provider.asked.values()) == 0


def test_a_row_whose_model_the_first_has_not_got_is_the_next_one_s(
    office: Office, first: ScriptedProvider
) -> None:
    entries = json.loads(os.environ["PROVIDERS"])
    entries[0]["models"] = {"another": "another"}
    name(entries, office.world.environment)
    work = office.fated("200")
    assert work.run()["left"] == 0
    assert answered_by(work) == [(200, "2")]
    assert [request for request in first.requests if request.method == "POST"] == []


def test_a_plan_takes_a_row_that_any_provider_can_answer(batch_world: BatchWorld) -> None:
    entries = [
        {"name": "a", "base_url": URL, "dialect": "abliteration", "models": {"m-1": "m-1"}},
        {"name": "b", "base_url": URL, "models": {"m-1": "m-1", "m-2": "m-2"}},
    ]
    name(entries, batch_world.environment)
    body = BODY | {"instructions": "Be brief."}
    bodies = [body | {"model": model} for model in ("m-1", "m-2", "m-3")]
    content = b"".join(row(str(at), body=each) for at, each in enumerate(bodies))
    outcome = plan(batch_world.add_batch(content))
    assert outcome["outcome"] == "failed"
    errors = now_of(batch_world, outcome).errors
    assert [(each["line"], each["code"]) for each in errors] == [(3, "model_not_found")]
