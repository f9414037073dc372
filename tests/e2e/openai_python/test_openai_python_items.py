"""The official Python client on reasoning items, refusals and web searches, streamed."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.openai_python.callers import callers_of
from tests.e2e.openai_python.surfaces import Responses
from tests.e2e.variants import ASK, MODEL, TEXT

if TYPE_CHECKING:
    from tests.e2e.openai_python.callers import Caller

responses = callers_of(Responses)

STREAMS = ("responses-stream=full", "responses-stream=minimal")
ITEMS = {
    "reasoning-items=text": ["reasoning", "message"],
    "reasoning-items=summary": ["reasoning", "message"],
    "refuses": ["message"],
    "web-search=first": ["web_search_call", "message"],
    "web-search=inside": ["web_search_call", "message"],
    "web-search=first;reasoning-items=text": ["web_search_call", "reasoning", "message"],
}
on_every_item = pytest.mark.parametrize(
    ("switches", "kinds"),
    [(f"{stream};{items}", ITEMS[items]) for stream, items in product(STREAMS, ITEMS)],
)


def said(response: Any) -> str:
    """The answer's text or refusal."""
    (part,) = response.output[-1].content
    return str(part.refusal if part.type == "refusal" else part.text)


@on_every_item
def test_the_stream_helper_ends_with_every_item(
    responses: Caller, switches: str, kinds: list[str]
) -> None:
    answer = responses.final(model=f"{MODEL}@{switches}", **responses.surface.request_fields(ASK))
    assert [item.type for item in answer.output] == kinds
    assert said(answer) == TEXT


@on_every_item
def test_every_event_names_the_item_announced_at_its_index(
    responses: Caller, switches: str, kinds: list[str]
) -> None:
    events = responses.events(model=f"{MODEL}@{switches}", **responses.surface.request_fields(ASK))
    added = [event for event in events if event.type == "response.output_item.added"]
    assert [(event.output_index, event.item.type) for event in added] == list(enumerate(kinds))
    ids = [event.item.id for event in added]
    about = [event for event in events if hasattr(event, "item_id")]
    assert about
    assert all(ids[event.output_index] == event.item_id for event in about)
    assert [event.sequence_number for event in events] == list(range(len(events)))
