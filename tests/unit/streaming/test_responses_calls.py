"""Function calls in Responses streams, under either name for their events."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.streaming.response_streams import (
    COMPLETED,
    CREATED,
    Event,
    call,
    decoded,
    deltas,
    helper_on,
    passed,
    without,
)
from tests.unit.streaming.strict_client import StrictClient


def arguments(*pieces: str, **fields: Any) -> list[Event]:
    """Deltas under the provider's name for them."""
    return [fields | each for each in deltas("function_call.arguments", *pieces)]


def call_done(**fields: Any) -> Event:
    return {"type": "response.function_call.done", "name": "f", **fields}


@pytest.mark.parametrize("names", ["provider", "openai"])
@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize("placed", [True, False])
def test_a_call_arrives_complete_under_openai_s_names(
    names: str, announced: bool, placed: bool
) -> None:
    events = call(0, '{"a"', ":1}")[0 if announced else 1 : -1]
    if names == "provider":
        new = ("function_call_arguments.delta", "function_call.arguments.delta")
        end = ("function_call_arguments.done", "function_call.done")
        events = [e | {"type": e["type"].replace(*new).replace(*end)} for e in events]
    if not placed:
        events = without(without(events, name="item_id"), name="output_index")
    out = decoded(passed(CREATED, *events, COMPLETED))
    client = StrictClient(out)
    (only,) = client.final["output"]
    assert (only["name"], only["arguments"]) == ("look_up", '{"a":1}')
    assert client.texts("function_call", "arguments") == ['{"a":1}']
    assert "function_call." not in "".join(e["type"] for e in out)
    with helper_on(passed(CREATED, *events, COMPLETED)) as stream:
        assert stream.get_final_response().output[0].call_id


def test_a_call_is_announced_with_its_late_id() -> None:
    early = [*arguments('{"a"', name="f"), *arguments(":1}")]
    out = decoded(passed(CREATED, *early, call_done(call_id="call_9"), COMPLETED))
    client = StrictClient(out)
    assert client.output[0]["call_id"] == client.final["output"][0]["call_id"] == "call_9"
    assert client.texts("function_call", "arguments") == ['{"a":1}']


def test_an_announced_call_without_its_id_waits_for_it() -> None:
    events = call(0, '{"a"', ":1}")
    events[0]["item"]["call_id"] = None
    client = StrictClient(decoded(passed(CREATED, *events, COMPLETED)))
    assert client.output[0]["call_id"] == "call_1"


def test_calls_known_only_by_their_call_id_are_distinguished() -> None:
    one, two = {"call_id": "c1", "name": "f"}, {"call_id": "c2", "name": "f"}
    pieces = [*arguments('{"a"', **one), *arguments('{"b"', **two), *arguments(":1}", **one)]
    out = decoded(passed(CREATED, *pieces, *arguments(":2}", **two), COMPLETED))
    assert StrictClient(out).texts("function_call", "arguments") == ['{"a":1}', '{"b":2}']


def test_a_call_that_ends_under_two_names_is_one_call() -> None:
    ended = {"type": "response.function_call.arguments.done", "arguments": "{}"}
    events = [*arguments("{}"), ended, call_done(call_id="call_9", arguments="{}")]
    client = StrictClient(decoded(passed(CREATED, *events, COMPLETED)))
    assert client.texts("function_call", "arguments") == ["{}"]


def test_calls_sent_only_at_their_end_are_separate() -> None:
    events = [call_done(arguments='{"a":1}'), call_done(arguments='{"b":2}')]
    client = StrictClient(decoded(passed(CREATED, *events, COMPLETED)))
    assert client.texts("function_call", "arguments") == ['{"a":1}', '{"b":2}']
