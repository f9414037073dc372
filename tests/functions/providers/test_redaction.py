"""A provider may quote its key in what it says of a failure; no caller gets to see it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from llm_relay.api import relay
from llm_relay.core.deadline import Deadline
from llm_relay.core.errors import ProviderError
from llm_relay.endpoints.chat import ChatCompletions
from llm_relay.providers.client import AttemptTracker
from llm_relay.providers.completion import complete
from tests.support.payloads import (
    CREATED,
    DONE,
    QUESTION,
    STREAMED_INPUT,
    STREAMED_QUESTION,
    delta,
    frame,
)
from tests.support.scripted_provider import stream, whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.functions.conftest import Answered, Secret
    from tests.support.scripted_provider import Script, ScriptedProvider

KEY = "ak/canary+key"
SAID = f"Not with {KEY}."


def spelled_otherwise(text: bytes) -> bytes:
    """The same JSON as some servers write it."""
    return text.replace(b"/", b"\\/").replace(b"+", b"\\u002b")


QUOTED = spelled_otherwise(json.dumps({"error": {"message": SAID, "keys": [{KEY: KEY}]}}).encode())
EVENT = b"data: " + QUOTED + b"\n\n"
FLAT = spelled_otherwise(json.dumps({"type": "error", "message": SAID, "code": None}).encode())
FAILED: dict[str, Any] = {
    "type": "response.failed",
    "sequence_number": 1,
    "response": {"id": "resp_1", "error": {"code": "server_error", "message": SAID}},
}
REFUSALS = [whole(403, QUOTED), whole(200, QUOTED)]


@pytest.fixture(autouse=True)
def canary(provider: ScriptedProvider, secret: Secret) -> None:
    assert provider.requests == []
    secret.put(KEY)


def without_key(document: Any) -> str:
    text = json.dumps(document)
    assert KEY not in text
    assert "Not with [key]." in text
    return text


@pytest.mark.parametrize("answer", [*REFUSALS, stream(EVENT + DONE)])
def test_a_refusal_that_quotes_the_key_is_reported_without_it(
    provider: ScriptedProvider, ask: Callable[..., Answered], answer: Script
) -> None:
    provider.scripts = [answer]
    refusal = ask(STREAMED_QUESTION)
    assert refusal.status >= 400
    without_key(refusal.json())


@pytest.mark.parametrize("answer", REFUSALS)
def test_a_refusal_of_a_batch_s_row_is_reported_without_the_key(
    provider: ScriptedProvider, answer: Script
) -> None:
    provider.scripts = [answer]
    router, deadline = relay.provider_router(), Deadline.after(30)
    bodies = {router.named(None): QUESTION}
    with pytest.raises(ProviderError) as caught:
        complete(router, ChatCompletions(), bodies, deadline, AttemptTracker())
    without_key(caught.value.body())


@pytest.mark.parametrize(
    ("surface", "question", "sent"),
    [
        ("chat", STREAMED_QUESTION, delta("a") + EVENT),
        ("responses", STREAMED_INPUT, CREATED + EVENT),
        ("responses", STREAMED_INPUT, CREATED + b"event: error\ndata: " + FLAT + b"\n\n"),
        ("responses", STREAMED_INPUT, CREATED + frame(FAILED)),
    ],
)
def test_a_failure_in_the_middle_of_a_stream_is_reported_without_the_key(
    provider: ScriptedProvider,
    ask: Callable[..., Answered],
    surface: str,
    question: Any,
    sent: bytes,
) -> None:
    provider.scripts = [stream(sent)]
    body = ask(question, surface).body.decode()
    lines = [line[6:] for line in body.splitlines() if line.startswith("data: ")]
    without_key([json.loads(line) for line in lines if line != "[DONE]"])


def test_a_deeply_nested_error_is_truncated(
    provider: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    deep = b"[" * 400 + b"]" * 400
    provider.scripts = [whole(403, b'{"error":{"message":"Deep.","more":' + deep + b"}}")]
    answer = ask(QUESTION)
    assert answer.error["message"].startswith("Deep.")
    assert len(answer.body) < 400
