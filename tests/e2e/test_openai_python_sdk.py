"""The official Python client, sync and async, on every kind of stream a provider may send."""

from __future__ import annotations

from itertools import combinations, groupby, product
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.openai_callers import callers_of
from tests.e2e.openai_surfaces import Chat, Responses
from tests.e2e.variants import (
    ASK,
    ASK_FOR_A_TOOL,
    ASK_FOR_AN_OBJECT,
    MODEL,
    ROWS,
    STREAMS,
    TEXT,
    TOOL_ANSWER,
    WEATHER,
    Weather,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.openai_callers import Caller

caller = callers_of(Chat, Responses)
chat = callers_of(Chat)
responses = callers_of(Responses)
on_every_stream = pytest.mark.parametrize("model", STREAMS)

SEQUENCE = [
    "response.created",
    "response.in_progress",
    "response.output_item.added",
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.done",
    "response.content_part.done",
    "response.output_item.done",
    "response.completed",
]


def asked(caller: Caller, text: str) -> dict[str, Any]:
    return {caller.surface.turns: [{"role": "user", "content": text}]}


def test_the_streams_pair_every_value_of_a_switch_with_every_value_of_another() -> None:
    for left, right in combinations(zip(*ROWS, strict=True), 2):
        assert set(zip(left, right, strict=True)) == set(product(left, right))


def test_a_whole_answer_is_the_text_that_was_asked_for(caller: Caller) -> None:
    answer = caller.create(model=MODEL, **asked(caller, ASK))
    assert caller.surface.text(answer) == TEXT
    assert answer.usage.total_tokens > 0


@on_every_stream
def test_a_streamed_answer_is_the_text_that_was_asked_for(caller: Caller, model: str) -> None:
    events = caller.events(model=model, **asked(caller, ASK))
    assert caller.surface.text_of_events(events) == TEXT


@on_every_stream
def test_the_stream_helper_ends_with_the_whole_answer(caller: Caller, model: str) -> None:
    answer = caller.final(model=model, **asked(caller, ASK))
    assert caller.surface.text(answer) == TEXT
    assert answer.id


def test_a_whole_answer_is_parsed_into_a_model(caller: Caller) -> None:
    fields = {**asked(caller, ASK_FOR_AN_OBJECT), caller.surface.format: Weather}
    assert caller.surface.parsed(caller.parse(model=MODEL, **fields)) == WEATHER


@on_every_stream
def test_a_streamed_answer_is_parsed_into_a_model(caller: Caller, model: str) -> None:
    fields = {**asked(caller, ASK_FOR_AN_OBJECT), caller.surface.format: Weather}
    assert caller.surface.parsed(caller.final(model=model, **fields)) == WEATHER


def test_a_loop_of_tools_ends_with_a_whole_answer(caller: Caller) -> None:
    assert tool_loop(caller, caller.create, MODEL) == TOOL_ANSWER


def test_a_loop_of_parsed_tools_ends_with_a_whole_answer(caller: Caller) -> None:
    assert tool_loop(caller, caller.parse, MODEL) == TOOL_ANSWER


@on_every_stream
def test_a_loop_of_tools_ends_with_a_streamed_answer(caller: Caller, model: str) -> None:
    assert tool_loop(caller, caller.final, model) == TOOL_ANSWER


@on_every_stream
def test_a_streamed_response_has_every_event_in_order_and_numbered(
    responses: Caller, model: str
) -> None:
    events = responses.events(model=model, **asked(responses, ASK))
    assert [kind for kind, _ in groupby(event.type for event in events)] == SEQUENCE
    assert [event.sequence_number for event in events] == list(range(len(events)))


@on_every_stream
def test_a_streamed_response_ends_with_its_output_and_its_usage(
    responses: Caller, model: str
) -> None:
    events = responses.events(model=model, **asked(responses, ASK))
    response = events[-1].response
    assert response.output_text == TEXT
    assert response.usage.input_tokens_details.cached_tokens == 0
    assert response.usage.output_tokens_details.reasoning_tokens == 0
    added = next(e for e in events if e.type == "response.output_item.added")
    assert {e.item_id for e in events if hasattr(e, "item_id")} == {added.item.id}
    assert [item.id for item in response.output] == [added.item.id]


@on_every_stream
def test_a_streamed_response_cut_short_says_so(responses: Caller, model: str) -> None:
    events = responses.events(model=model, max_output_tokens=1, **asked(responses, ASK))
    if "responses-stream=full" in model:  # the documented three events cannot say it
        assert responses.surface.is_cut(events[-1].response)
    assert responses.surface.text_of_events(events) == TEXT.split()[0]


@on_every_stream
def test_a_streamed_completion_shows_its_usage_when_asked_to(chat: Caller, model: str) -> None:
    options = {"include_usage": True}
    chunks = chat.events(model=model, stream_options=options, **asked(chat, ASK))
    assert chunks[-1].choices == []
    assert chunks[-1].usage.total_tokens > 0
    assert [chunk for chunk in chunks[:-1] if chunk.usage] == []


def tool_loop(caller: Caller, ask: Callable[..., Any], model: str) -> str:
    """Let the model use its tools until it has something to say, as a program would."""
    surface = caller.surface
    turns: list[Any] = [{"role": "user", "content": ASK_FOR_A_TOOL}]
    for _ in range(3):
        answer = ask(model=model, tools=surface.tools, **{surface.turns: turns})
        more = surface.tool_turns(answer)
        if not more:
            return surface.text(answer)
        turns += more
    raise AssertionError("The model never stopped calling tools.")
