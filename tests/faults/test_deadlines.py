"""Deadlines that expire at any moment of a call: an allowed answer, and an exact ledger."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from llm_relay.core.deadline import REPLY_RESERVE_SECONDS
from tests.faults.aws.calls import FIRST, Call, asked
from tests.faults.aws.environment import (
    SEED,
    accounts,
    aws,
    aws_proxy,
    callers,
    environment,
    secret,
)
from tests.support.ledger_accounts import is_sound
from tests.support.priced_provider import PricedProvider, question

if TYPE_CHECKING:
    from tests.faults.aws.environment import Callers
    from tests.functions.conftest import Answered
    from tests.support.scripted_provider import Script

__all__ = ["accounts", "aws", "callers", "aws_proxy", "environment", "secret"]

PIECES = 10
WITH_USAGE = {"include_usage": True}


class Dawdler(PricedProvider):
    """Answers piece by piece, in a third of a second or so."""

    def _script(self, path: str, text: bytes) -> Script:
        whole = b"".join(super()._script(path, text))
        if path.endswith("/models"):
            return [whole]
        size = len(whole) // PIECES + 1
        pieces = (whole[at : at + size] for at in range(0, len(whole), size))
        return [step for piece in pieces for step in (piece, 0.03)]


@pytest.mark.parametrize("streamed", [False, True])
def test_a_deadline_at_any_moment_leaves_an_allowed_answer_and_an_exact_ledger(
    callers: Callers, environment: pytest.MonkeyPatch, streamed: bool
) -> None:
    chance = random.Random(SEED)  # noqa: S311 - the same each time
    dawdler = Dawdler()
    with dawdler:
        environment.setenv("UPSTREAM_BASE_URL", dawdler.base_url)
        slowly = replace(callers, priced_provider=dawdler)
        assert FIRST.ask().status == 200
        more = {"stream": streamed} | ({"stream_options": WITH_USAGE} if streamed else {})
        made = [Call(question("answers", 1_000 + number, **more)) for number in range(24)]
        seconds = [REPLY_RESERVE_SECONDS + chance.uniform(0, 0.6) for _ in made]
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(Call.ask, made, seconds))
        both = list(zip(made, answers, strict=True))
        assert [call.name for call, answer in both if not call.is_allowed(answer)] == []
        assert {answer.status for answer in answers} <= {200, 504}
        spent = 1 + sum(charged(slowly, call, answer) for call, answer in both)
        account = callers.accounts.read("month")
        assert is_sound(account)
        assert account.spent == spent


def charged(callers: Callers, call: Call, answer: Answered) -> int:
    """Return what a call costs: nothing unsent, its price, or the highest if it is unknown."""
    if call.name not in asked(callers):
        return 0
    has_cost = answer.status == 200 and b"estimated_cost_usd" in answer.body
    return call.nanos if has_cost else call.worst
