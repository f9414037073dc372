"""The official Python client, sync and async, on every kind of stream a provider may send."""

from __future__ import annotations

from itertools import combinations, groupby, product
from typing import TYPE_CHECKING, Any

from tests.e2e.openai_python.callers import callers_of
from tests.e2e.openai_python.surfaces import Chat, Responses
from tests.e2e.variants import (
    ASK,
    ASK_FOR_A_TOOL,
    ASK_FOR_AN_OBJECT,
    MODEL,
    ROWS,
    TEXT,
    TOOL_ANSWER,
    WEATHER,
    Weather,
    on_every_full_stream,
    on_every_stream,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.openai_python.callers import Caller

caller = callers_of(Chat, Responses)
chat = callers_of(Chat)
responses = callers_of(Responses)

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


def test_the_streams_pair_every_value_of_a_switch_with_every_value_of_another() -> None:
    for left, right in combinations(zip(*ROWS, strict=True), 2):
        assert set(zip(left, right, strict=True)) == set(product(left, right))


def test_a_whole_answer_is_the_requested_text(caller: Caller) -> None:
    answer = caller.create(model=MODEL, **caller.surface.request_fields(ASK))
    assert caller.surface.text(answer) == TEXT
    assert answer.usage.total_tokens > 0


@on_every_stream
def test_a_streamed_answer_is_the_requested_text(caller: Caller, model: str) -> None:
    events = caller.events(model=model, **caller.surface.request_fields(ASK))
    assert caller.surface.text_of_events(events) == TEXT


@on_every_stream
def test_the_stream_helper_ends_with_the_whole_answer(caller: Caller, model: str) -> None:
    answer = caller.final(model=model, **caller.surface.request_fields(ASK))
    assert caller.surface.text(answer) == TEXT
    assert answer.id


def test_a_whole_answer_is_parsed_into_a_model(caller: Caller) -> None:
    fields = {**caller.surface.request_fields(ASK_FOR_AN_OBJECT), caller.surface.format: Weather}
    assert caller.surface.parsed(caller.parse(model=MODEL, **fields)) == WEATHER


@on_every_stream
def test_a_streamed_answer_is_parsed_into_a_model(caller: Caller, model: str) -> None:
    fields = {**caller.surface.request_fields(ASK_FOR_AN_OBJECT), caller.surface.format: Weather}
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
    events = responses.events(model=model, **responses.surface.request_fields(ASK))
    assert [kind for kind, _ in groupby(event.type for event in events)] == SEQUENCE
    assert [event.sequence_number for event in events] == list(range(len(events)))


@on_every_stream
def test_a_streamed_response_ends_with_the_item_that_was_announced(
    responses: Caller, model: str
) -> None:
    events = responses.events(model=model, **responses.surface.request_fields(ASK))
    added = next(event for event in events if event.type == "response.output_item.added")
    assert {event.item_id for event in events if hasattr(event, "item_id")} == {added.item.id}
    assert [item.id for item in events[-1].response.output] == [added.item.id]
    assert events[-1].response.output_text == TEXT


@on_every_full_stream
def test_a_streamed_response_ends_with_its_usage_in_detail(responses: Caller, model: str) -> None:
    usage = responses.final(model=model, **responses.surface.request_fields(ASK)).usage
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens
    assert usage.input_tokens_details.cached_tokens == 0
    assert usage.output_tokens_details.reasoning_tokens == 0


@on_every_full_stream
def test_a_truncated_streamed_response_is_reported_as_incomplete(
    responses: Caller, model: str
) -> None:
    events = responses.events(
        model=model, max_output_tokens=1, **responses.surface.request_fields(ASK)
    )
    assert events[-1].type == "response.incomplete"
    assert responses.surface.is_cut(events[-1].response)


@on_every_stream
def test_a_streamed_completion_shows_its_usage_on_request(chat: Caller, model: str) -> None:
    options = {"include_usage": True}
    chunks = chat.events(model=model, stream_options=options, **chat.surface.request_fields(ASK))
    assert chunks[-1].choices == []
    assert chunks[-1].usage.total_tokens > 0
    assert [chunk for chunk in chunks[:-1] if chunk.usage] == []


def tool_loop(caller: Caller, ask: Callable[..., Any], model: str) -> str:
    """Let the model use its tools until it has something to say, as a program would."""
    surface = caller.surface
    turns: list[Any] = [{"role": "user", "content": ASK_FOR_A_TOOL}]
    for _ in range(3):
        answer = ask(model=model, tools=[surface.tool()], **{surface.turns: turns})
        more = surface.tool_turns(answer)
        if not more:
            return surface.text(answer)
        turns += more
    raise AssertionError("The model never stopped calling tools.")
