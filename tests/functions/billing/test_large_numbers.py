"""Numbers that JSON can spell, as 1e999, and no computer holds: none leaves as what is no JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.payloads import (
    COMPLETED,
    COMPLETION,
    CREATED,
    DONE,
    IN_PROGRESS,
    INPUT,
    QUESTION,
    RESPONSE,
    STREAMED_INPUT,
    STREAMED_QUESTION,
    delta,
)
from tests.support.scripted_provider import stream, whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.functions.conftest import Answered
    from tests.support.scripted_provider import ScriptedProvider

ON_A_BUDGET = {
    "requestId": "r",
    "identity": {},
    "authorizer": {"client": "0123456789ab", "budget_nanos": "1000", "budget_per": "day"},
}
LARGE = "a number too large"  # its place in a document


def spelt(document: Any) -> bytes:
    """A document as JSON, with the large number in its place."""
    return json.dumps(document).replace(json.dumps(LARGE), "-1e999").encode()


def refuse_constant(name: str) -> None:
    raise AssertionError(f"{name} is not JSON")


def strictly(text: bytes) -> Any:
    return json.loads(text, parse_constant=refuse_constant)


@pytest.mark.parametrize("cap", [{}, {"max_output_tokens": "10"}], ids=["as it is", "re-encoded"])
@pytest.mark.parametrize(("question", "surface"), [(QUESTION, "chat"), (INPUT, "responses")])
def test_a_request_with_a_huge_number_is_refused_before_anything_is_sent(
    provider: ScriptedProvider,
    ask: Callable[..., Answered],
    question: dict[str, Any],
    surface: str,
    cap: dict[str, str],
) -> None:
    context = {"requestId": "r", "identity": {}, "authorizer": {"client": "0123456789ab", **cap}}
    body = spelt(question | {"metadata": {"a": [LARGE]}}).decode()
    answer = ask(body, surface, requestContext=context)
    assert (answer.status, answer.error["type"]) == (400, "invalid_request_error")
    assert "1e999" in answer.error["message"]
    assert provider.requests == []


@pytest.mark.parametrize(
    ("question", "surface", "name"),
    [
        (QUESTION, "chat", "max_tokens"),
        (QUESTION, "chat", "max_completion_tokens"),
        (INPUT, "responses", "max_output_tokens"),
    ],
)
def test_an_impossible_token_limit_is_refused_before_any_cost_is_computed(
    provider: ScriptedProvider,
    ask: Callable[..., Answered],
    question: dict[str, Any],
    surface: str,
    name: str,
) -> None:
    for count in (10**9 + 1, 10**307):
        answer = ask(question | {name: count}, surface, requestContext=ON_A_BUDGET)
        assert (answer.status, answer.error["param"]) == (400, name)
        assert "from 1 to 1000000000" in answer.error["message"]
    assert provider.requests == []


WHOLE = [(QUESTION, "chat", COMPLETION), (INPUT, "responses", RESPONSE)]


@pytest.mark.parametrize(("question", "surface", "document"), WHOLE)
def test_a_complete_answer_passes_byte_for_byte(
    provider: ScriptedProvider,
    ask: Callable[..., Answered],
    question: dict[str, Any],
    surface: str,
    document: dict[str, Any],
) -> None:
    text = spelt(document | {"tomorrow": LARGE, "usage": document["usage"] | {"other": LARGE}})
    provider.scripts = [whole(200, text)]
    answer = ask(question, surface)
    assert (answer.status, answer.body) == (200, text)


@pytest.mark.parametrize(("question", "surface", "document"), WHOLE)
def test_an_answer_with_added_fields_stays_json(
    provider: ScriptedProvider,
    ask: Callable[..., Answered],
    question: dict[str, Any],
    surface: str,
    document: dict[str, Any],
) -> None:
    provider.scripts = [whole(200, spelt(document | {"tomorrow": LARGE, "id": None}))]
    answer = ask(question, surface)
    assert answer.status == 200
    replayed = strictly(answer.body)
    assert replayed["id"]
    assert replayed["tomorrow"] is None
    assert replayed["usage"]["total_tokens"] == document["usage"]["total_tokens"]


def large(event: bytes, **more: Any) -> bytes:
    return b"data: " + spelt(json.loads(event[6:]) | {"tomorrow": LARGE} | more) + b"\n\n"


@pytest.mark.parametrize(
    ("question", "surface", "events"),
    [
        (STREAMED_QUESTION, "chat", [large(delta("a", "stop")), DONE]),
        (STREAMED_INPUT, "responses", [large(CREATED), large(IN_PROGRESS), large(COMPLETED)]),
    ],
)
def test_a_complete_stream_passes_byte_for_byte(
    provider: ScriptedProvider,
    ask: Callable[..., Answered],
    question: dict[str, Any],
    surface: str,
    events: list[bytes],
) -> None:
    provider.scripts = [stream(*events)]
    body = ask(question, surface).body
    assert [event for event in events if event not in body] == []


@pytest.mark.parametrize(
    ("question", "surface", "event"),
    [
        (STREAMED_QUESTION, "chat", large(delta("a"), id=None)),
        (STREAMED_INPUT, "responses", large(CREATED, sequence_number=None)),
    ],
)
def test_an_event_with_added_fields_stays_json(
    provider: ScriptedProvider,
    ask: Callable[..., Answered],
    question: dict[str, Any],
    surface: str,
    event: bytes,
) -> None:
    provider.scripts = [stream(event)]
    lines = ask(question, surface).body.splitlines()
    first, *_ = [strictly(line[6:]) for line in lines if line.startswith(b"data: ")]
    assert first["tomorrow"] is None


def test_a_refusal_with_a_huge_number_is_reported_as_json(
    provider: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    provider.scripts = [whole(400, spelt({"error": {"message": "no", "code": LARGE}}))]
    answer = ask(QUESTION)
    assert (answer.status, strictly(answer.body)["error"]["code"]) == (400, None)
