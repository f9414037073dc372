"""Calls while AWS fails in every way: one allowed outcome each, and an exact ledger."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.faults.aws.calls import FIRST, MESSAGES, Call, asked, assert_ledger_is_right
from tests.faults.aws.environment import (
    SECRETS,
    SEED,
    accounts,
    aws,
    aws_proxy,
    callers,
    environment,
    forget,
    secret,
)
from tests.faults.aws.faults import (
    DENIED,
    RESET_AFTER_EXECUTION,
    RESET_BEFORE_EXECUTION,
    SLOW,
    THROTTLED,
    TRANSIENT,
    UNAVAILABLE,
)
from tests.support.caller_faults import CallerFaults
from tests.support.priced_provider import STREAMED, WHOLE, question

if TYPE_CHECKING:
    from tests.faults.aws.environment import Callers

__all__ = ["accounts", "aws", "callers", "aws_proxy", "environment", "secret"]

CALLS = 50
ONE_IN = 18  # so many operations go well for six that meet a fault that passes
OURS = {"budget_unavailable", "idempotency_unavailable", "prices_unavailable"}


def calls(chance: random.Random) -> list[Call]:
    """Calls of every kind; the cost tells one from another."""
    made = []
    for number in range(CALLS):
        streamed = chance.random() < 0.5
        fate = chance.choice([*(STREAMED if streamed else WHOLE)])
        body = question(fate, 1_000 + number, stream=streamed, messages=MESSAGES)
        made.append(Call(body, f"key-{number}" if chance.random() < 0.5 else None))
    return made


def test_every_call_has_one_allowed_outcome_and_the_ledger_its_exact_cost(
    callers: Callers, capfd: pytest.CaptureFixture[str]
) -> None:
    chance = random.Random(SEED)  # noqa: S311 - the same each time
    assert FIRST.ask().status == 200  # the prices are known from now on
    made = calls(chance)
    callers.aws_proxy.fault_for = CallerFaults(SEED, [*TRANSIENT, *[None] * ONE_IN])
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(Call.ask, made))
    callers.aws_proxy.clear_faults()
    printed = "".join(capfd.readouterr())
    both = list(zip(made, answers, strict=True))
    assert [call.name for call, answer in both if not call.is_allowed(answer)] == []
    assert [a.error["code"] for a in answers if a.status == 409] == []  # each key came once
    assert len(asked(callers)) == len({*asked(callers)})
    refused_unsent = [call.name for call, a in both if a.status == 503 and a.error["code"] in OURS]
    assert {*refused_unsent}.isdisjoint(asked(callers))
    assert_ledger_is_right(callers, made, printed)
    assert [word for word in SECRETS if word in printed] == []
    assert len(callers.aws_proxy.met) > len(TRANSIENT)


def test_repeats_after_the_faults_are_not_billed_twice(
    callers: Callers, capfd: pytest.CaptureFixture[str]
) -> None:
    assert FIRST.ask().status == 200
    made = [Call(question("answers", cost, stream=False), f"key-{cost}") for cost in range(2, 26)]
    callers.aws_proxy.fault_for = CallerFaults(SEED, [*TRANSIENT, *[None] * 6])
    with ThreadPoolExecutor(8) as pool:
        first = list(pool.map(Call.ask, made))
    callers.aws_proxy.clear_faults()
    with ThreadPoolExecutor(8) as pool:
        again = list(pool.map(Call.ask, made))
    assert len(asked(callers)) == len({*asked(callers)})
    # A key whose answer could not be kept stays in use for the function's time.
    assert {200} <= {answer.status for answer in again} <= {200, 409}
    answered_twice = [
        (a.body, b.body) for a, b in zip(first, again, strict=True) if a.status == b.status
    ]
    assert [body for body, same in answered_twice if body != same] == []
    assert_ledger_is_right(callers, made, "".join(capfd.readouterr()))


@pytest.mark.parametrize(
    "fault", [THROTTLED, UNAVAILABLE, RESET_BEFORE_EXECUTION, RESET_AFTER_EXECUTION, SLOW]
)
def test_retries_of_a_secret_read_only_cost_time(callers: Callers, fault: str) -> None:
    planned = iter([fault])
    callers.aws_proxy.fault = lambda operation: (
        next(planned, None) if operation.startswith("secretsmanager") else None
    )
    assert FIRST.ask().status == 200
    assert callers.aws_proxy.met["secretsmanager", fault] == 1


@pytest.mark.parametrize("fault", [THROTTLED, DENIED, UNAVAILABLE, RESET_BEFORE_EXECUTION])
def test_nothing_is_sent_while_the_secret_is_unreadable_and_calls_recover(
    callers: Callers, fault: str, capfd: pytest.CaptureFixture[str]
) -> None:
    callers.aws_proxy.fault = lambda operation: (
        fault if operation == "secretsmanager.GetSecretValue" else None
    )
    refused = FIRST.ask()
    assert refused.status == 503
    assert asked(callers) == []
    callers.aws_proxy.clear_faults()
    forget()
    assert FIRST.ask().status == 200
    assert_ledger_is_right(callers, [], "")
    assert [word for word in SECRETS if word in "".join(capfd.readouterr())] == []
