"""Tool calls in chat streams, as the official client puts them together."""

from __future__ import annotations

from typing import Any

import pytest

from llm_relay.streaming.sse import DONE
from tests.unit.streaming.chat_streams import HEAD, chunk, decoded, passed
from tests.unit.streaming.sdk import client_that_gets


def calls_in(*deltas: Any) -> list[tuple[str, str, str]]:
    """The tool calls that the official helper puts together."""
    out = passed(*map(chunk, deltas), chunk({}, "tool_calls"), DONE)
    client = client_that_gets(out)
    messages: Any = [{"role": "user", "content": "x"}]
    with client, client.chat.completions.stream(model="m", messages=messages) as stream:
        calls = stream.get_final_completion().choices[0].message.tool_calls or []
    return [(call.id, call.function.name, call.function.arguments) for call in calls]


ONE = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a"'}}
TWO = {"id": "c2", "type": "function", "function": {"name": "g", "arguments": '{"b"'}}
REST = [{"function": {"arguments": ":1}"}}, {"function": {"arguments": ":2}"}}]


@pytest.mark.parametrize("index", [{}, {"index": None}, {"index": "0"}])
@pytest.mark.parametrize(
    "fragments",
    [
        [[ONE], REST[:1], [TWO], REST[1:]],
        [[ONE, TWO], [{"id": "c1"} | REST[0], {"id": "c2"} | REST[1]]],
        [[ONE], [TWO], [{"id": "c1"} | REST[0]], [{"id": "c2"} | REST[1]]],
    ],
)
def test_calls_without_an_index_are_distinguished_by_their_ids(fragments: Any, index: Any) -> None:
    deltas = [{"tool_calls": [index | call for call in calls]} for calls in fragments]
    # The helper puts ids together as well: sent once, they stay what they are.
    assert [(name, text) for _, name, text in calls_in(*deltas)] == [
        ("f", '{"a":1}'),
        ("g", '{"b":2}'),
    ]


def test_calls_of_different_choices_are_counted_separately() -> None:
    def sent_in(choice: int, call: Any) -> Any:
        return HEAD | {"choices": [{"index": choice, "delta": {"tool_calls": [call]}}]}

    out = decoded(passed(sent_in(0, ONE), sent_in(1, TWO)))
    assert [e["choices"][0]["delta"]["tool_calls"][0]["index"] for e in out] == [0, 0]


def test_fragments_of_tool_calls_get_their_index_and_stay_in_order() -> None:
    first = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": ""}}
    more = [{"function": {"arguments": part}} for part in ('{"a"', ":1}")]
    deltas = [{"tool_calls": [call]} for call in [first, *more]]
    out = passed(*map(chunk, deltas), chunk({}, "tool_calls"), DONE)
    client = client_that_gets(out)
    messages: Any = [{"role": "user", "content": "x"}]
    with client, client.chat.completions.stream(model="m", messages=messages) as stream:
        message = stream.get_final_completion().choices[0].message
    assert message.tool_calls
    assert message.tool_calls[0].function.arguments == '{"a":1}'
