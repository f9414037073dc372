"""Budgets through the whole local stack: many callers at once, in many processes."""

from __future__ import annotations

import asyncio
import json
import os
import random
import secrets
import signal
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import requests

from llm_relay.billing.admission import admit
from llm_relay.billing.ledger_account import LedgerAccount, account_key, parse_account, period_at
from llm_relay.core.client import Client
from llm_relay.providers.dialects.dialect import ABLITERATION
from local.settings import Settings
from local.stack import Stack
from tests.support.priced_provider import (
    HANGS,
    LISTED,
    STALLS,
    STREAMED,
    WHOLE,
    PricedProvider,
    expected_nanos,
    question,
)
from tests.support.scripted_provider import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.conftest import Loop

CALLS, AFFORDABLE = 200, 50
ENVIRONMENTS = 6  # of the function: as many calls at once are in its hands
PER = "month"  # a test may run at midnight
# As many digits as the cost, which stands in the request and so has its part in it.
TYPICAL_NANOS = 1_000_000
TOO_LATE = 504


@dataclass
class Budgeted:
    """A client of a running stack, with a budget of its own."""

    stack: Stack
    budget_nanos: int
    id: str = field(default_factory=lambda: secrets.token_hex(6))

    def __post_init__(self) -> None:
        self.key = f"sk-relay-{self.id}-0001-{secrets.token_hex(20)}"
        gateway = self.stack.aws("apigateway")
        made = gateway.create_api_key(name=self.id, value=self.key, enabled=True)
        plan = self.stack.template.ref("UsagePlan")
        gateway.create_usage_plan_key(usagePlanId=plan, keyId=made["id"], keyType="API_KEY")
        serial = {"M": {"key_id": {"S": made["id"]}, "created_at": {"N": "0"}}}
        profile = {
            "pk": {"S": f"client#{self.id}"},
            "sk": {"S": "profile"},
            "budget_nanos": {"N": str(self.budget_nanos)},
            "budget_per": {"S": PER},
            "keys": {"M": {"0001": serial}},
        }
        self.dynamodb.put_item(TableName=self.table, Item=profile)

    @property
    def dynamodb(self) -> Any:
        return self.stack.aws("dynamodb")

    @property
    def table(self) -> str:
        return str(self.stack.template.ref("ClientsTable"))

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}"}

    @property
    def url(self) -> str:
        return f"{self.stack.base_url}/v1/chat/completions"

    @property
    def account_key(self) -> dict[str, Any]:
        return account_key(self.id, period_at(PER, time.time()).name)

    def account(self) -> LedgerAccount:
        found = self.dynamodb.get_item(
            TableName=self.table, Key=self.account_key, ConsistentRead=True
        )
        return parse_account(found["Item"])

    def settled(self) -> int:
        """What is spent, once nothing is held any more."""
        wait_until(lambda: not self.account().reservations, 100)
        account = self.account()
        assert account.available + account.spent == account.budget == self.budget_nanos
        return account.spent

    def ask(self, body: dict[str, Any]) -> requests.Response:
        return requests.post(self.url, json=body, headers=self.headers, timeout=200)

    def ask_all(self, bodies: list[dict[str, Any]]) -> list[int]:
        """Ask at once; return the statuses, in order, also those that streams report later."""
        self.become_known()
        return asyncio.run(self._ask_all(bodies))

    def become_known(self) -> None:
        """Let the authorizer's word be kept: asked by so many at once it may run out of time."""
        url = f"{self.stack.base_url}/v1/usage"
        wait_until(lambda: requests.get(url, headers=self.headers, timeout=200).ok, 100)

    async def _ask_all(self, bodies: list[dict[str, Any]]) -> list[int]:
        anything = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=anything, headers=self.headers) as session:
            return await asyncio.gather(*(self._ask(session, body) for body in bodies))

    async def _ask(self, session: aiohttp.ClientSession, body: dict[str, Any]) -> int:
        async with session.post(self.url, json=body) as response:
            if body["user"].startswith(STALLS):
                await response.content.readany()  # and hang up
                return response.status
            is_late = b"upstream_timeout" in await response.read()
            return TOO_LATE if is_late else response.status


@pytest.fixture(scope="module")
def priced_provider() -> Iterator[PricedProvider]:
    provider = PricedProvider()
    with provider:
        yield provider


@pytest.fixture(scope="module")
def stack(
    loop: Loop, priced_provider: PricedProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    settings = Settings(
        log=tmp_path_factory.mktemp("stack") / "functions.log",
        upstream_url=priced_provider.base_url,
        parameters={
            "ProviderDialect": "abliteration",
            "ThrottleRequestsPerSecond": 1000,
            "ThrottleBurst": 1000,
        },
        # A function reads on when its caller has left; this test does not wait for that.
        environment={"UPSTREAM_IDLE_SECONDS": "4"},
        concurrency=ENVIRONMENTS,
    )
    stack = Stack(settings)
    loop.run(stack.__aenter__())
    warm_up(stack, ENVIRONMENTS)
    yield stack
    loop.run(stack.__aexit__(None, None, None))


def warm_up(stack: Stack, environments: int) -> None:
    """Start so many environments and let them fetch the key: prices are not waited for so long."""
    headers = {"authorization": f"Bearer {stack.client_key}"}  # whose calls need no prices
    url = f"{stack.base_url}/v1/chat/completions"

    def status(_: int) -> int:
        return requests.post(
            url, json=question("answers"), headers=headers, timeout=200
        ).status_code

    with ThreadPoolExecutor(environments) as callers:
        wait_until(lambda: {*callers.map(status, range(environments))} == {200}, 100)


def worst(body: dict[str, Any]) -> int:
    client = Client(id="c", key_id="k", budget_nanos=1)
    return admit(client, "/chat/completions", body, LISTED, ABLITERATION).max_cost_nanos


@pytest.mark.parametrize("streamed", [False, True])
def test_a_budget_for_fifty_allows_fifty_of_two_hundred_concurrent_calls(
    stack: Stack, priced_provider: PricedProvider, streamed: bool
) -> None:
    most = worst(question("answers", TYPICAL_NANOS, stream=streamed))
    caller = Budgeted(stack, AFFORDABLE * most)
    priced_provider.asked.clear()
    statuses = caller.ask_all([question("answers", most, stream=streamed)] * CALLS)
    assert {status: statuses.count(status) for status in set(statuses)} == {
        200: AFFORDABLE,
        402: CALLS - AFFORDABLE,
    }
    assert priced_provider.asked == ["answers"] * AFFORDABLE
    assert caller.settled() == AFFORDABLE * most


@pytest.mark.parametrize("seed", range(2))
def test_random_concurrent_calls_are_charged_exactly_and_stay_within_the_budget(
    stack: Stack, priced_provider: PricedProvider, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - the same each time
    bodies = []
    for _ in range(CALLS):
        streamed = chance.random() < 0.5
        fates = [*STREAMED, STALLS] if streamed else [*WHOLE]
        bodies.append(question(chance.choice(fates), chance.randint(0, 10**6), stream=streamed))
    caller = Budgeted(stack, AFFORDABLE * worst(question("answers", TYPICAL_NANOS)))
    priced_provider.requests.clear()
    statuses = caller.ask_all(bodies)
    asked = Counter(json.loads(sent.body)["user"] for sent in priced_provider.requests if sent.body)
    expected = sum(
        asked[body["user"]] * due(body, status)
        for body, status in zip(bodies, statuses, strict=True)
    )
    spent = caller.settled()
    outcomes = Counter(
        zip((body["user"].partition(":")[0] for body in bodies), statuses, strict=True)
    )
    assert spent == expected <= caller.budget_nanos, outcomes
    assert 402 in statuses
    assert sum(status == 200 for status in statuses) > AFFORDABLE / 2, outcomes


def due(body: dict[str, Any], status: int) -> int:
    """What a question that the provider was asked may cost, by its fate and by the answer."""
    is_unknown = status == TOO_LATE or body["user"].startswith(STALLS)
    return worst(body) if is_unknown else expected_nanos(body, worst(body))


def test_a_killed_functions_reservation_is_released_after_its_timeout(
    stack: Stack, priced_provider: PricedProvider
) -> None:
    body, next_body = question(HANGS), question("answers", 1)
    caller = Budgeted(stack, worst(next_body))
    priced_provider.asked.clear()
    calling = threading.Thread(target=caller.ask, args=(body,))
    calling.start()
    wait_until(lambda: HANGS in priced_provider.asked)
    kill_function_processes(priced_provider.base_url)
    calling.join()
    warm_up(stack, 1)
    ((name, held),) = caller.account().reservations.items()
    assert held.nanos == worst(body)
    # The function's own time, and a minute.
    assert time.time() + 800 < held.expires_at < time.time() + 1000
    assert caller.ask(next_body).status_code == 402
    let_time_pass(caller, name, held.expires_at)
    assert caller.ask(next_body).status_code == 200
    assert caller.account().spent == 1


def let_time_pass(caller: Budgeted, name: str, until: int) -> None:
    """Move a hold's end from the future into the past."""
    caller.dynamodb.update_item(
        TableName=caller.table,
        Key=caller.account_key,
        UpdateExpression="SET #h.#u = :past",
        ConditionExpression="#h.#u = :until",
        ExpressionAttributeNames={"#h": name, "#u": "until"},
        ExpressionAttributeValues={":past": {"N": "1"}, ":until": {"N": str(until)}},
    )


def kill_function_processes(upstream_url: str) -> None:
    """Kill this stack's processes of the chat function, as Lambda may."""
    ours = [int(entry.name) for entry in Path("/proc").iterdir() if is_ours(entry, upstream_url)]
    assert ours
    for pid in ours:
        os.kill(pid, signal.SIGKILL)


def is_ours(process: Path, upstream_url: str) -> bool:
    try:
        parent = (process / "stat").read_text().rpartition(")")[2].split()[1]
        variables = (process / "environ").read_bytes().split(b"\0")
        place = (process / "cwd").resolve().name
    except OSError:
        return False
    is_mine = parent == str(os.getpid()) and place == "chat_completions"
    return is_mine and f"UPSTREAM_BASE_URL={upstream_url}".encode() in variables


def test_a_client_sees_the_cost_of_its_calls_over_http(stack: Stack) -> None:
    caller = Budgeted(stack, 10**9)
    assert caller.ask(question("answers", 120_000)).status_code == 200
    usage = requests.get(f"{stack.base_url}/v1/usage", headers=caller.headers, timeout=200)
    report = usage.json()
    assert (report["client"], report["budget"]["spent_usd"]) == (caller.id, 0.00012)
    assert [used["cost_usd"] for used in report["data"]] == [0.00012]
    assert caller.key not in json.dumps(report)


def test_the_stack_s_own_key_has_no_usage(stack: Stack) -> None:
    headers = {"authorization": f"Bearer {stack.client_key}"}
    answer = requests.get(f"{stack.base_url}/v1/usage", headers=headers, timeout=200)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "no_client")
