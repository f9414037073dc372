"""A provider that fails again and again is left alone for a while, by every function instance."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import TYPE_CHECKING, Any

import pytest

from functions.chat_completions.handler import handler as chat
from llm_relay.api import relay
from llm_relay.providers import circuit_breaker
from llm_relay.providers.circuit_breaker import FAILURES, OPEN_SECONDS, PARTITION
from tests.functions.conftest import PROVIDER_KEY, Answered, Context, proxy_event, taken
from tests.functions.providers.test_failover import CHUNK, DONE, STREAM
from tests.support.dynamodb_proxy import RESET_BEFORE_EXECUTION, UNAVAILABLE
from tests.support.payloads import QUESTION, STREAMED_QUESTION, frame
from tests.support.provider_pair import DOWN, NO, OK
from tests.support.scripted_provider import (
    RESET,
    TIMEOUT_SECONDS,
    ScriptedProvider,
    stream,
    wait_until,
    whole,
)

if TYPE_CHECKING:
    from tests.functions.conftest import Secret
    from tests.support.ledger_accounts import Accounts
    from tests.support.provider_pair import Pair

ROOT = Path(__file__).parents[3]
FAILS = whole(503, NO)
# Asks once as another function instance would, and says who answered and what it imported.
ANOTHER = """
import json, sys
from functions.chat_completions.handler import handler
answer = handler(json.load(sys.stdin), type("Context", (), {
    "get_remaining_time_in_millis": lambda self: 60_000})())
headers = answer["headers"] if isinstance(answer, dict) else dict(answer.headers)
print(json.dumps([headers["x-relay-provider"], sorted(sys.modules)]))
"""


def ask() -> str:
    """Return the name of the provider that answered."""
    event = proxy_event("POST", "/v1/chat/completions", QUESTION)
    answer = taken(chat(event, Context(60, time.monotonic())))
    assert answer.status == 200, answer.body
    return answer.headers["x-relay-provider"]


def open_first(pair: Pair) -> None:
    pair.first.scripts = [FAILS]
    assert {ask() for _ in range(FAILURES)} == {pair.names[1]}
    assert pair.requests_received == [FAILURES, FAILURES]


def circuit_of(pair: Pair, accounts: Accounts) -> dict[str, Any]:
    """What the table says of the first provider's circuit."""
    key = {"pk": {"S": PARTITION}, "sk": {"S": pair.names[0]}}
    item = accounts.dynamodb.get_item(TableName=accounts.table, Key=key).get("Item", {})
    return {name: value.get("S") or int(value["N"]) for name, value in item.items()}


def let_time_pass(pair: Pair, accounts: Accounts, seconds: float = OPEN_SECONDS) -> None:
    """Have the circuit been open for as long as it stays so; less than none, and it stays open."""
    accounts.dynamodb.update_item(
        TableName=accounts.table,
        Key={"pk": {"S": PARTITION}, "sk": {"S": pair.names[0]}},
        UpdateExpression="SET opened_at = opened_at - :seconds",
        ExpressionAttributeValues={":seconds": {"N": str(seconds)}},
    )
    circuit_breaker.circuit_store.cache_clear()  # with what is cached


def another_instance() -> tuple[str, set[str]]:
    ran = subprocess.run(  # noqa: S603
        [sys.executable, "-c", ANOTHER],
        input=json.dumps(proxy_event("POST", "/v1/chat/completions", QUESTION)),
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'layers' / 'llm_relay'}"},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    who, modules = json.loads(ran.stdout.splitlines()[-1])
    return who, set(modules)


def test_consecutive_failures_open_the_circuit_and_the_first_provider_is_skipped(
    pair: Pair, accounts: Accounts
) -> None:
    open_first(pair)
    assert ask() == pair.names[1]
    assert pair.requests_received == [FAILURES, FAILURES + 1]
    circuit = circuit_of(pair, accounts)
    assert (circuit["state"], circuit["failure_count"]) == ("OPEN", FAILURES)
    assert circuit["expires_at"] > time.time()


@pytest.fixture
def silence(pair: Pair) -> Pair:
    """Providers whose silence is filled at once."""
    pair.environment.setenv("KEEP_ALIVE_SECONDS", "0.1")
    pair.second.scripts = [STREAM]
    pair.change_entries()
    return pair


def ask_stream(seconds: float = 60) -> Answered:
    event = proxy_event("POST", "/v1/chat/completions", STREAMED_QUESTION)
    return taken(chat(event, Context(seconds, time.monotonic())))


@pytest.mark.parametrize(
    "script",
    [stream(600), stream(0.2), stream(0.2, frame(NO))],
    ids=["hangs", "ends", "refuses"],
)
def test_a_stream_that_fails_before_its_first_event_counts_however_late(
    silence: Pair, accounts: Accounts, script: Any
) -> None:
    silence.environment.setenv("UPSTREAM_IDLE_SECONDS", "0.5")
    silence.first.scripts = [script]
    silence.change_entries()
    for _ in range(FAILURES):
        ask_stream()
    assert silence.requests_received[0] == FAILURES
    assert circuit_of(silence, accounts)["state"] == "OPEN"
    assert ask_stream().headers["x-relay-provider"] == silence.names[1]


def test_a_late_first_event_shows_that_the_provider_is_available(
    silence: Pair, accounts: Accounts
) -> None:
    late = stream(0.2, CHUNK, DONE)
    silence.first.scripts = ([FAILS] * (FAILURES - 1) + [late]) * 2
    answers = [ask_stream() for _ in range(2 * FAILURES)]
    assert {answer.status for answer in answers} == {200}
    assert silence.requests_received[0] == 2 * FAILURES
    assert circuit_of(silence, accounts) == {}


def test_a_call_that_was_never_sent_is_not_counted(pair: Pair, accounts: Accounts) -> None:
    pair.first.scripts = [FAILS]
    assert {ask() for _ in range(FAILURES - 1)} == {pair.names[1]}
    assert ask_stream(seconds=0).status == 504
    assert ask() == pair.names[1]
    assert circuit_of(pair, accounts)["state"] == "OPEN"
    let_time_pass(pair, accounts)
    assert ask_stream(seconds=0).status == 504
    assert circuit_of(pair, accounts)["state"] != "CLOSED"
    assert pair.requests_received[0] == FAILURES


@pytest.mark.parametrize("script", [whole(429, NO), OK, None], ids=["busy", "there", "in between"])
def test_rate_limits_and_interspersed_answers_keep_the_circuit_closed(
    pair: Pair, accounts: Accounts, script: Any
) -> None:
    alternating = [FAILS] * (FAILURES - 1) + [OK]
    pair.first.scripts = [script] if script else alternating * 2
    for _ in range(2 * FAILURES):
        ask()
    assert pair.requests_received[0] == 2 * FAILURES
    assert circuit_of(pair, accounts) == {}


def test_another_function_instance_sees_an_open_circuit(pair: Pair, accounts: Accounts) -> None:
    open_first(pair)
    let_time_pass(pair, accounts, -1000)  # however slow this machine is
    who, _ = another_instance()
    assert who == pair.names[1]
    assert pair.requests_received == [FAILURES, FAILURES + 1]


def test_one_call_probes_the_provider_and_the_others_do_not_wait(
    pair: Pair, accounts: Accounts
) -> None:
    open_first(pair)
    let_time_pass(pair, accounts)
    may_answer = Barrier(2)
    pair.first.requests.clear()
    pair.first.scripts = [[may_answer, *OK]]
    with ThreadPoolExecutor(1) as pool:
        probe = pool.submit(ask)
        wait_until(lambda: len(pair.first.requests) == 1)
        assert {ask() for _ in range(3)} == {pair.names[1]}
        may_answer.wait(TIMEOUT_SECONDS)
        assert probe.result() == pair.names[0]
    assert circuit_of(pair, accounts)["state"] == "CLOSED"
    pair.first.scripts = [OK]
    assert ask() == pair.names[0]
    assert len(pair.first.requests) == 2


def test_a_failed_probe_reopens_the_circuit(pair: Pair, accounts: Accounts) -> None:
    open_first(pair)
    let_time_pass(pair, accounts)
    assert {ask() for _ in range(3)} == {pair.names[1]}
    assert pair.requests_received[0] == FAILURES + 1
    assert circuit_of(pair, accounts)["state"] == "OPEN"


def test_a_client_error_closes_the_circuit(pair: Pair, accounts: Accounts) -> None:
    open_first(pair)
    let_time_pass(pair, accounts)
    pair.first.scripts = [whole(400, NO)]
    event = proxy_event("POST", "/v1/chat/completions", QUESTION)
    assert taken(chat(event, Context(60, time.monotonic()))).status == 400
    assert circuit_of(pair, accounts)["state"] == "CLOSED"


def test_when_no_other_provider_answers_the_skipped_one_is_called(pair: Pair) -> None:
    open_first(pair)
    pair.first.scripts = [OK]
    pair.environment.setenv("UPSTREAM_MAX_ATTEMPTS", "1")
    pair.change_entries(second={"base_url": DOWN})
    assert ask() == pair.names[0]


def test_the_last_provider_with_a_closed_circuit_gets_every_retry(pair: Pair) -> None:
    pair.change_entries({"models": {"other": "other"}})
    pair.second.scripts = [whole(503, NO, retry_after="600")]
    assert {ask_stream().status for _ in range(FAILURES)} == {503}
    del pair.entries[0]["models"]
    pair.change_entries()
    pair.first.scripts = [whole(429, NO, retry_after="0.1"), OK]
    assert ask() == pair.names[0]
    assert pair.requests_received == [2, FAILURES]


def test_an_interrupted_call_is_counted_and_not_retried(pair: Pair, accounts: Accounts) -> None:
    pair.first.scripts = [[RESET]]
    event = proxy_event("POST", "/v1/chat/completions", QUESTION)
    statuses = [taken(chat(event, Context(60, time.monotonic()))).status for _ in range(FAILURES)]
    assert (statuses, pair.requests_received) == ([502] * FAILURES, [FAILURES, 0])
    assert circuit_of(pair, accounts)["state"] == "OPEN"
    assert ask() == pair.names[1]


@pytest.mark.parametrize("fault", [UNAVAILABLE, RESET_BEFORE_EXECUTION])
def test_calls_continue_while_dynamodb_is_unavailable(
    pair: Pair, accounts: Accounts, fault: str
) -> None:
    accounts.dynamodb_proxy.fault = lambda _operation: fault
    open_first(pair)
    assert ask() == pair.names[1]
    assert pair.requests_received == [
        FAILURES,
        FAILURES + 1,
    ]  # this instance has found out by itself
    pair.change_entries()


def test_dynamodb_is_read_periodically_and_not_for_each_call(
    pair: Pair, accounts: Accounts
) -> None:
    for _ in range(20):
        ask()
    assert len(accounts.dynamodb_proxy.operations) < 5


def test_a_single_provider_has_no_circuit_and_dynamodb_is_not_read(
    environment: pytest.MonkeyPatch, accounts: Accounts, secret: Secret
) -> None:
    with ScriptedProvider([OK]) as only:
        environment.setenv("UPSTREAM_BASE_URL", only.base_url)
        who, modules = another_instance()
    assert who == "default"
    assert modules.isdisjoint(
        {"llm_relay.providers.circuit_breaker", "aws_lambda_powertools.utilities.circuit_breaker"}
    )
    assert accounts.dynamodb_proxy.operations == []
    assert PROVIDER_KEY in only.requests[0].headers["authorization"]
    relay.provider_router.cache_clear()
