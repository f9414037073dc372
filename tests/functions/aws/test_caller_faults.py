"""Random faults are the same for each caller, whatever the order of threads."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from llm_relay.aws.dynamodb import dynamodb
from llm_relay.billing.ledger_account import account_key
from tests.support.caller_faults import CallerFaults, calling_as, send_caller
from tests.support.dynamodb_proxy import RESET_BEFORE_EXECUTION, UNAVAILABLE
from tests.support.ledger_accounts import CLIENT

if TYPE_CHECKING:
    from tests.support.ledger_accounts import Accounts

CHOICES = [UNAVAILABLE, RESET_BEFORE_EXECUTION, None]
NAMES = ["a", "b", "c"]


def test_the_faults_of_a_name_do_not_depend_on_the_requests_of_others() -> None:
    mixed, apart = CallerFaults(1, CHOICES), CallerFaults(1, CHOICES)
    by_turns = [(name, mixed(name)) for _ in range(50) for name in NAMES]
    for name in reversed(NAMES):
        own = [apart(name) for _ in range(50)]
        assert own == [fault for whose, fault in by_turns if whose == name]
        assert {*own} == {*CHOICES}
    other = CallerFaults(2, CHOICES)
    assert [other("a") for _ in range(50)] != [fault for name, fault in by_turns if name == "a"]


def test_every_attempt_of_a_request_carries_its_caller(accounts: Accounts) -> None:
    send_caller(dynamodb())
    met: Counter[str] = Counter()

    def first_fails(name: str) -> str | None:
        met[name] += 1
        return UNAVAILABLE if met[name] == 1 else None

    def read(name: str) -> None:
        with calling_as(name):
            dynamodb().get_item(TableName=accounts.table, Key=account_key(CLIENT, "2026"))

    accounts.dynamodb_proxy.fault_for = first_fails
    with ThreadPoolExecutor(len(NAMES)) as pool:
        list(pool.map(read, NAMES))
    read("")
    assert met == dict.fromkeys([*NAMES, ""], 2)
