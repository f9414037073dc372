"""Calls of a client with a budget, each known to the provider by what it costs."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from functions.chat_completions.handler import handler
from llm_relay.billing.admission import admit
from llm_relay.providers.dialects.dialect import ABLITERATION
from tests.faults.aws.environment import PROMPT
from tests.functions.conftest import Answered, Context, proxy_event, taken
from tests.support.caller_faults import calling_as
from tests.support.ledger_accounts import CLIENT, client, is_sound
from tests.support.priced_provider import LISTED, expected_nanos, question

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.faults.aws.environment import Callers

USD = 10**9
MESSAGES = [{"role": "user", "content": PROMPT}]


@dataclass(frozen=True)
class Call:
    """A question, and the key to retry it with."""

    body: dict[str, Any]
    key: str | None = None

    def ask(self, seconds: float = 60) -> Answered:
        with calling_as(self.name):
            return taken(handler(self.event(), Context(seconds, time.monotonic())))

    def event(self) -> dict[str, Any]:
        event = proxy_event("POST", "/v1/chat/completions", self.body)
        limits = {"budget_nanos": str(1000 * USD), "budget_per": "month"}
        event["requestContext"]["authorizer"] = {"principalId": "p", "client": CLIENT} | limits
        event["headers"] |= {"Idempotency-Key": self.key} if self.key else {}
        return event

    @property
    def name(self) -> str:
        """What the provider knows it by."""
        return str(self.body["user"])

    @property
    def worst(self) -> int:
        """What is reserved for it."""
        admission = admit(client(USD), "/chat/completions", self.body, LISTED, ABLITERATION)
        return admission.max_cost_nanos

    @property
    def nanos(self) -> int:
        """What it costs if it reaches the provider."""
        return expected_nanos(self.body, self.worst)

    def is_allowed(self, answer: Answered) -> bool:
        """Tell whether this is a whole answer, or an error that says what it is."""
        if answer.status >= 400:
            return {*answer.error} >= {"message", "type", "code"}
        if not self.body["stream"]:
            return bool(answer.json()["choices"])
        last = [line for line in answer.body.splitlines() if line.startswith(b"data: ")][-1]
        return bool(last == b"data: [DONE]" or json.loads(last[6:]).get("error"))


FIRST = Call(question("answers", 1, messages=MESSAGES))


def asked(callers: Callers) -> list[str]:
    """The calls that reached the provider."""
    requests = [r for r in callers.priced_provider.requests if not r.path.endswith("/models")]
    return [json.loads(request.body)["user"] for request in requests]


def unsettled(callers: Callers, printed: str) -> int:
    """What could not be charged, is still reserved, and was logged."""
    lines = [json.loads(line) for line in printed.splitlines() if "could not be charged" in line]
    holds = callers.accounts.read("month").reservations
    return sum(line["cost_nanos"] for line in lines if line["reservation"] in holds)


def assert_ledger_is_right(callers: Callers, made: Iterable[Call], printed: str) -> None:
    account = callers.accounts.read("month")
    nanos = {call.name: call.nanos for call in [FIRST, *made]}
    assert is_sound(account)
    assert account.spent + unsettled(callers, printed) == sum(
        map(nanos.__getitem__, asked(callers))
    )
