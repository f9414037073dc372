"""POST /v1/responses: what differs from chat."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.payloads import INPUT, RESPONSE
from tests.support.scripted_provider import whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.functions.conftest import Answered
    from tests.support.scripted_provider import ScriptedProvider


def test_an_answer_passes_unchanged(
    provider: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    provider.scripts = [whole(200, RESPONSE)]
    answer = ask(INPUT, "responses")
    assert (answer.status, answer.json()) == (200, RESPONSE)
    assert provider.requests[0].path == "/v1/responses"


def test_a_failed_response_passes_unchanged(
    provider: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    failed = RESPONSE | {"status": "failed", "error": {"code": "server_error", "message": "x"}}
    provider.scripts = [whole(200, failed)]
    assert ask(INPUT, "responses").json() == failed


def bad(**fields: Any) -> dict[str, Any]:
    return INPUT | fields


@pytest.mark.parametrize(
    ("payload", "param"),
    [
        ({"input": "Hello"}, "model"),
        ({"model": "m"}, "input"),
        (bad(input=""), "input"),
        (bad(input=[]), "input"),
        (bad(input={"role": "user"}), "input"),
        (bad(input=["Hello"]), "input[0]"),
        (bad(instructions=5), "instructions"),
        (bad(stream=1), "stream"),
        (bad(temperature=-1), "temperature"),
        (bad(max_output_tokens="9"), "max_output_tokens"),
        (bad(tools="x"), "tools"),
    ],
)
def test_a_bad_body_is_refused_without_a_call_and_names_its_field(
    provider: ScriptedProvider, ask: Callable[..., Answered], payload: Any, param: str
) -> None:
    answer = ask(payload, "responses")
    assert (answer.status, answer.error["param"]) == (400, param)
    assert provider.requests == []


@pytest.mark.parametrize("name", ["instructions", "prompt", "previous_response_id"])
def test_input_may_be_a_reference(
    provider: ScriptedProvider, ask: Callable[..., Answered], name: str
) -> None:
    provider.scripts = [whole(200, RESPONSE)]
    assert ask({"model": "m", name: "x"}, "responses").status == 200
