"""What the official Python client may send and read besides text, on both endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.openai_python.callers import callers_of
from tests.e2e.openai_python.surfaces import Chat, Responses
from tests.e2e.variants import ASK, ASK_FOR_A_TOOL, IMAGES, MODEL, TEXT, on_every_stream

if TYPE_CHECKING:
    from tests.e2e.openai_python.callers import Caller

caller = callers_of(Chat, Responses)
chat = callers_of(Chat)
in_every_place = pytest.mark.parametrize(
    ("place", "names"),
    [
        ("reasoning", ["reasoning"]),
        ("reasoning_content", ["reasoning_content"]),
        ("both", ["reasoning", "reasoning_content"]),
    ],
)
REASONING = "The user wants a short answer."


@pytest.mark.parametrize(("url", "seen"), IMAGES.items(), ids=["https", "data"])
def test_an_image_is_sent_to_the_model(caller: Caller, url: str, seen: str) -> None:
    parts = caller.surface.parts("What is this?", url)
    answer = caller.create(model=MODEL, **caller.surface.request_fields(parts))
    assert caller.surface.text(answer) == seen


@in_every_place
def test_reasoning_can_be_read_where_the_provider_puts_it(
    chat: Caller, place: str, names: list[str]
) -> None:
    model = f"{MODEL}@reasoning-field={place}"
    message = chat.create(model=model, **chat.surface.request_fields(ASK)).choices[0].message
    assert [message.model_extra.get(name) for name in names] == [REASONING] * len(names)
    assert message.content == TEXT


@in_every_place
@on_every_stream
def test_streamed_reasoning_can_be_read_where_the_provider_puts_it(
    chat: Caller, place: str, names: list[str], model: str
) -> None:
    model = f"{model};reasoning-field={place}"
    message = chat.final(model=model, **chat.surface.request_fields(ASK)).choices[0].message
    assert [message.model_extra.get(name) for name in names] == [REASONING] * len(names)
    assert message.content == TEXT


def test_a_raw_answer_has_the_headers_that_support_needs(caller: Caller) -> None:
    raw = caller.raw(model=MODEL, **caller.surface.request_fields(ASK))
    assert raw.headers["x-request-id"] == raw.request_id
    assert raw.headers["x-upstream-request-id"].startswith("req_sim")
    assert raw.headers["x-relay-attempts"] == "1"
    assert raw.parse()._request_id == raw.request_id
    assert caller.surface.text(raw.parse()) == TEXT


def test_a_raw_answer_counts_the_attempts_behind_it(caller: Caller) -> None:
    name = f"{type(caller).__name__}-{type(caller.surface).__name__}"
    model = f"{MODEL}@status=503;times=1;id=attempts-of-{name}"
    raw = caller.raw(model=model, **caller.surface.request_fields(ASK))
    assert raw.headers["x-relay-attempts"] == "2"


@on_every_stream
def test_a_stream_has_those_headers_too(caller: Caller, model: str) -> None:
    headers = caller.stream_headers(model=model, **caller.surface.request_fields(ASK))
    assert headers["x-relay-attempts"] == "1"
    assert headers["x-request-id"]


def test_the_limit_of_tokens_is_applied_and_reported(caller: Caller) -> None:
    limit = {caller.surface.limit: 2}
    answer = caller.create(model=MODEL, **limit, **caller.surface.request_fields(ASK))
    assert caller.surface.text(answer) == " ".join(TEXT.split()[:2])
    assert caller.surface.is_cut(answer)


@on_every_stream
def test_the_limit_of_tokens_is_kept_in_a_stream(caller: Caller, model: str) -> None:
    limit = {caller.surface.limit: 2}
    events = caller.events(model=model, **limit, **caller.surface.request_fields(ASK))
    assert caller.surface.text_of_events(events) == " ".join(TEXT.split()[:2])


@pytest.mark.parametrize("role", ["system", "developer"])
def test_instructions_may_come_from_the_system_or_the_developer(caller: Caller, role: str) -> None:
    (turn,) = caller.surface.request_fields(ASK)[caller.surface.turns]
    turns = [{"role": role, "content": "Be brief."}, turn]
    answer = caller.create(model=MODEL, **{caller.surface.turns: turns})
    assert caller.surface.text(answer) == TEXT


@pytest.mark.parametrize("strict", [True, False])
def test_tools_may_be_strict(caller: Caller, strict: bool) -> None:
    tool = caller.surface.tool(strict=strict)
    answer = caller.create(
        model=MODEL, tools=[tool], **caller.surface.request_fields(ASK_FOR_A_TOOL)
    )
    assert caller.surface.tool_turns(answer)


def test_an_unknown_field_is_accepted(caller: Caller) -> None:
    unknown = {"made_up": 1}
    answer = caller.create(model=MODEL, extra_body=unknown, **caller.surface.request_fields(ASK))
    assert caller.surface.text(answer) == TEXT


@on_every_stream
def test_an_unknown_field_is_accepted_in_a_stream(caller: Caller, model: str) -> None:
    unknown = {"made_up": 1}
    events = caller.events(model=model, extra_body=unknown, **caller.surface.request_fields(ASK))
    assert caller.surface.text_of_events(events) == TEXT


def test_a_dropped_field_is_named(chat: Caller) -> None:
    raw = chat.raw(model=MODEL, extra_body={"made_up": 1}, **chat.surface.request_fields(ASK))
    assert raw.headers["x-relay-dropped"] == "made_up"
