"""The simulator's output items on /responses: reasoning, refusals and web searches."""

from typing import Any

import pytest

from tests.local.provider_simulator.provider_caller import ProviderCaller, frames, names

SEARCHED = [
    "response.output_item.added",
    "response.web_search_call.in_progress",
    "response.web_search_call.searching",
    "response.web_search_call.completed",
    "response.output_item.done",
]


def kinds(body: Any) -> list[str]:
    return [item["type"] for item in body["output"]]


def test_items_are_in_whole_answers_and_at_the_end_of_full_streams(
    provider: ProviderCaller,
) -> None:
    switches = "web-search=inside;reasoning-items=text;refuses"
    last = list(frames(provider.responses(switches, stream=True)))[-1]
    for body in (provider.responses(switches).json(), last["response"]):
        assert kinds(body) == ["web_search_call", "reasoning", "message"]
        assert body["output"][1]["content"][0]["type"] == "reasoning_text"
        assert body["output"][2]["content"][0]["refusal"].startswith("Hello")


@pytest.mark.parametrize(
    ("value", "event"),
    [
        ("text", "response.reasoning_text.delta"),
        ("summary", "response.reasoning_summary_text.delta"),
    ],
)
@pytest.mark.parametrize("stream", ["full", "minimal"])
def test_reasoning_is_streamed_as_the_switch_says(
    provider: ProviderCaller, value: str, event: str, stream: str
) -> None:
    switches = f"reasoning-items={value};responses-stream={stream}"
    events = [e for e in frames(provider.responses(switches, stream=True)) if e["type"] == event]
    assert "".join(e["delta"] for e in events) == "The user wants a short answer."
    assert all(("item_id" in e) == (stream == "full") for e in events)


def test_a_refusal_is_streamed_under_its_own_names(provider: ProviderCaller) -> None:
    for stream, done in (("full", 1), ("minimal", 0)):
        response = provider.responses(f"refuses;responses-stream={stream}", stream=True)
        streamed = names(response)
        assert streamed.count("response.refusal.delta") == 4
        assert streamed.count("response.refusal.done") == done
        assert "response.output_text.delta" not in streamed


@pytest.mark.parametrize("stream", ["full", "minimal"])
def test_a_search_precedes_the_stream_or_is_in_it(provider: ProviderCaller, stream: str) -> None:
    first = provider.responses(f"web-search=first;responses-stream={stream}", stream=True)
    assert names(first)[:6] == [*SEARCHED, "response.created"]
    inside = names(provider.responses(f"web-search=inside;responses-stream={stream}", stream=True))
    start = inside.index(SEARCHED[0])
    assert start > 0
    assert inside[start : start + 5] == SEARCHED


def test_a_stream_after_a_search_counts_its_items_from_the_start(provider: ProviderCaller) -> None:
    added = [
        (event["item"]["type"], event["output_index"])
        for event in frames(provider.responses("web-search=first", stream=True))
        if event["type"] == "response.output_item.added"
    ]
    assert added == [("web_search_call", 0), ("message", 0)]
