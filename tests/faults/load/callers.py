"""Callers who classify their answers: whole, refused, broken, cut, or a protocol violation."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp

from llm_relay.billing.admission import admit
from llm_relay.core.client import Client
from llm_relay.providers.dialects.dialect import ABLITERATION
from tests.faults.classify import classify
from tests.faults.fault import Outcome
from tests.faults.provider.answers import PROMPT
from tests.support.priced_provider import LISTED, MODEL

if TYPE_CHECKING:
    from tests.faults.fault import Fault, Form

HANGS_SECONDS = 300  # so long nothing takes that ends at all, however slow the machine


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A call that is to meet a fault."""

    name: str
    form: Form
    fault: Fault
    cost_nanos: int

    @property
    def body(self) -> dict[str, Any]:
        """What is sent."""
        text = f"{PROMPT} fate<{self.fault.name}|{self.cost_nanos}|{self.name}>"
        streamed: dict[str, Any] = {"stream": True} if self.form.streamed else {}
        if self.form.surface == "responses":
            return {"model": MODEL, "input": text, "max_output_tokens": 10} | streamed
        if self.form.streamed:
            streamed["stream_options"] = {"include_usage": True}
        asked = [{"role": "user", "content": text}]
        return {"model": MODEL, "messages": asked, "max_tokens": 10} | streamed

    @property
    def max_cost_nanos(self) -> int:
        """What is charged if the cost is unknown."""
        client = Client(id="c", key_id="k", budget_nanos=1)
        return admit(client, self.form.path, self.body, LISTED, ABLITERATION).max_cost_nanos


@dataclass(frozen=True, slots=True, kw_only=True)
class CallResult:
    """What a caller got, and how that is classified."""

    question: Question
    outcome: Outcome
    why: str  # in a few words, for a report
    seconds: float
    first_seconds: float
    has_usage: bool = False

    @property
    def charge_nanos(self) -> int:
        """What the account has to show of it."""
        if self.outcome == Outcome.REFUSED:
            return 0
        return self.question.cost_nanos if self.has_usage else self.question.max_cost_nanos


async def ask(session: aiohttp.ClientSession, base_url: str, question: Question) -> CallResult:
    """Send a request, and classify the answer."""
    started = time.monotonic()
    first_seconds, body, status = 0.0, b"", 0
    timeout = aiohttp.ClientTimeout(total=HANGS_SECONDS)
    try:
        url = base_url + question.form.path
        async with session.post(url, json=question.body, timeout=timeout) as response:
            status = response.status
            async for piece in response.content.iter_any():
                first_seconds = first_seconds or time.monotonic() - started
                body += piece
        classification = classify(question.form, status, body)
    except (aiohttp.ClientError, TimeoutError) as error:
        classification = Outcome.PROTOCOL_VIOLATION, f"{type(error).__name__} after {status}", False
    seconds = time.monotonic() - started
    outcome, why, has_usage = classification
    return CallResult(
        question=question,
        outcome=outcome,
        why=why,
        seconds=seconds,
        first_seconds=first_seconds or seconds,
        has_usage=has_usage,
    )
