"""The streamed answers of the simulator, and the switches that change them."""

import json
import time
from typing import Any

import pytest

from tests.local.provider_simulator.provider_caller import ProviderCaller, chat_text, frames, names

TOOL = {"name": "look", "parameters": {"type": "object", "properties": {"at": {"type": "string"}}}}
CHAT_TOOLS = [{"type": "function", "function": TOOL}]
FLAT_TOOLS = [{"type": "function", **TOOL}]
USAGE = {"include_usage": True}


def deltas(events: list[Any]) -> list[Any]:
    chunks = [event for event in events if isinstance(event, dict) and event["choices"]]
    return [chunk["choices"][0]["delta"] for chunk in chunks]


def test_a_chat_stream_has_the_providers_frames(provider: ProviderCaller) -> None:
    response = provider.chat(stream=True, say="Reply with: payload verified.", stream_options=USAGE)
    assert response.headers["Content-Type"].startswith("text/event-stream")
    assert response.content.startswith(b": keep-alive\n\ndata: ")
    assert response.content.endswith(b"data: [DONE]\n\n")
    events = list(frames(response))
    assert deltas(events) == [
        {"role": "assistant", "content": ""},
        {"reasoning": "The user wants a short answer."},
        {"content": "payl"},
        {"content": "oad "},
        {"content": "veri"},
        {"content": "fied."},
        {},
    ]
    assert events[-3]["choices"][0]["finish_reason"] == "stop"
    assert events[-2]["choices"] == []
    assert events[-2]["usage"]["total_tokens"] == 14
    assert len({event["id"] for event in events[:-1]}) == 1


def test_a_full_responses_stream_has_every_event_in_order(provider: ProviderCaller) -> None:
    response = provider.responses("chunks=2", stream=True)
    assert names(response) == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    events = list(frames(response))
    assert [event["type"] for event in events] == names(response)
    assert [event["sequence_number"] for event in events] == list(range(10))
    final = events[-1]["response"]
    assert final["usage"]["total_tokens"] == 19
    text = events[4]["delta"] + events[5]["delta"]
    assert text == events[6]["text"] == final["output"][0]["content"][0]["text"]


def test_a_minimal_responses_stream_has_the_documented_three(provider: ProviderCaller) -> None:
    response = provider.responses("responses-stream=minimal;chunks=1", stream=True)
    assert names(response) == [
        "response.created",
        "response.output_text.delta",
        "response.completed",
    ]
    _, delta, completed = frames(response)
    assert delta.keys() == {"type", "delta"}
    assert completed["response"].keys() == {"id", "object", "created_at", "status", "model"}


def test_a_cut_text_ends_a_responses_stream_as_incomplete(provider: ProviderCaller) -> None:
    response = provider.responses(stream=True, max_output_tokens=1)
    assert names(response)[-1] == "response.incomplete"
    assert list(frames(response))[-1]["response"]["status"] == "incomplete"


def test_chat_streams_a_tool_call_in_fragments(provider: ProviderCaller) -> None:
    response = provider.chat("chunks=3", stream=True, tools=CHAT_TOOLS)
    events = list(frames(response))
    calls = [delta["tool_calls"][0] for delta in deltas(events) if "tool_calls" in delta]
    assert calls[0]["function"] == {"name": "look", "arguments": ""}
    assert calls[0]["id"]
    assert len(calls) == 4
    arguments = "".join(call["function"]["arguments"] for call in calls)
    assert json.loads(arguments) == {"at": "example"}
    assert events[-2]["choices"][0]["finish_reason"] == "tool_calls"


def test_chat_streams_a_legacy_function_call_in_fragments(provider: ProviderCaller) -> None:
    events = list(frames(provider.chat(stream=True, functions=[TOOL])))
    calls = [delta["function_call"] for delta in deltas(events) if "function_call" in delta]
    assert calls[0]["name"] == "look"
    assert json.loads("".join(call["arguments"] for call in calls)) == {"at": "example"}
    assert events[-2]["choices"][0]["finish_reason"] == "function_call"


@pytest.mark.parametrize(
    ("switches", "delta", "done"),
    [
        ("", "response.function_call_arguments.delta", "response.function_call_arguments.done"),
        ("tool-events=openai", "response.function_call_arguments.delta",
         "response.function_call_arguments.done"),
        ("tool-events=provider", "response.function_call.arguments.delta",
         "response.function_call.done"),
        ("tool-events=provider;responses-stream=minimal",
         "response.function_call.arguments.delta", "response.function_call.done"),
    ],
)  # fmt: skip
def test_responses_streams_a_tool_call_under_either_name(
    provider: ProviderCaller, switches: str, delta: str, done: str
) -> None:
    response = provider.responses(switches, stream=True, tools=FLAT_TOOLS)
    assert delta in names(response)
    (last,) = [event for event in frames(response) if event["type"] == done]
    assert json.loads(last["arguments"]) == {"at": "example"}


def test_every_choice_of_n_is_streamed(provider: ProviderCaller) -> None:
    events = list(frames(provider.chat("done=off", stream=True, n=2)))
    assert [e["choices"][0]["index"] for e in events if e["choices"][0]["finish_reason"]] == [0, 1]


@pytest.mark.parametrize("chunks", [1, 2, 10, 17, 500])
def test_chunks_splits_the_text_without_loss(provider: ProviderCaller, chunks: int) -> None:
    say = "Reply with: größer ✓ als zuvor"
    events = list(frames(provider.chat(f"chunks={chunks}", stream=True, say=say)))
    assert chat_text(events) == "größer ✓ als zuvor"
    assert sum(bool(delta.get("content")) for delta in deltas(events)) == min(chunks, 18)


@pytest.mark.parametrize(
    ("switches", "beginning"),
    [
        ("", b": keep-alive\n\ndata: {"),
        ("keep-alive=comment", b": keep-alive\n\ndata: {"),
        ("keep-alive=blank", b"\ndata: {"),
        ("keep-alive=none", b"data: {"),
    ],
)
def test_keep_alive_precedes_the_first_event(
    provider: ProviderCaller, switches: str, beginning: bytes
) -> None:
    assert provider.chat(switches, stream=True).content.startswith(beginning)


@pytest.mark.parametrize(
    ("switches", "options", "shown"),
    [
        ("", None, False),
        ("", USAGE, True),
        ("usage=asked", USAGE, True),
        ("usage=always", None, True),
        ("usage=never", USAGE, False),
    ],
)
def test_usage_is_streamed_as_the_switch_says(
    provider: ProviderCaller, switches: str, options: Any, shown: bool
) -> None:
    response = provider.chat(switches, stream=True, stream_options=options)
    assert (b'"usage"' in response.content) is shown


def test_usage_is_always_in_whole_answers(provider: ProviderCaller) -> None:
    assert "usage" not in provider.chat("usage=never").json()
    assert "usage" not in provider.responses("usage=never").json()
    streamed = provider.responses("usage=never", stream=True)
    assert "usage" not in list(frames(streamed))[-1]["response"]


@pytest.mark.parametrize(
    ("switches", "whole", "streamed"),
    [
        ("", True, False),
        ("credits=whole", True, False),
        ("credits=last-chunk", True, True),
        ("credits=last-chunk;usage=never", True, True),
        ("credits=absent", False, False),
    ],
)
def test_credits_appear_where_the_switch_says(
    provider: ProviderCaller, switches: str, whole: bool, streamed: bool
) -> None:
    for call in (provider.chat, provider.responses):
        assert ("remaining_credits" in call(switches).json()) is whole
        assert (b"remaining_credits" in call(switches, stream=True).content) is streamed


@pytest.mark.parametrize(
    ("switches", "fields"),
    [
        ("", {"reasoning"}),
        ("reasoning-field=reasoning", {"reasoning"}),
        ("reasoning-field=reasoning_content", {"reasoning_content"}),
        ("reasoning-field=both", {"reasoning", "reasoning_content"}),
        ("reasoning-field=none", set()),
    ],
)
def test_reasoning_is_in_the_field_that_the_switch_names(
    provider: ProviderCaller, switches: str, fields: set[str]
) -> None:
    message = provider.chat(switches).json()["choices"][0]["message"]
    assert message.keys() - {"role", "content"} == fields
    streamed = {
        key for d in deltas(list(frames(provider.chat(switches, stream=True)))) for key in d
    }
    assert streamed - {"role", "content"} == fields


def test_reasoning_can_use_up_the_tokens_of_the_text(provider: ProviderCaller) -> None:
    (choice,) = provider.chat("reasoning-eats-tokens", max_tokens=6).json()["choices"]
    assert choice["message"]["content"] is None
    assert choice["finish_reason"] == "length"
    body = provider.chat("reasoning-eats-tokens", say="Reply with: a b", max_tokens=7).json()
    assert body["choices"][0]["message"]["content"] == "a"
    assert body["usage"]["completion_tokens"] == 7
    assert provider.chat(max_tokens=6).json()["choices"][0]["message"]["content"]


@pytest.mark.parametrize(
    ("switches", "chat", "responses"),
    [("", True, False), ("done=auto", True, False), ("done=on", True, True),
     ("done=off", False, False)],
)  # fmt: skip
def test_done_ends_a_stream_as_the_switch_says(
    provider: ProviderCaller, switches: str, chat: bool, responses: bool
) -> None:
    mark = b"data: [DONE]\n\n"
    assert provider.chat(switches, stream=True).content.endswith(mark) is chat
    assert provider.responses(switches, stream=True).content.endswith(mark) is responses


def test_sequence_numbers_can_be_left_out(provider: ProviderCaller) -> None:
    stream = provider.responses("sequence-numbers=off", stream=True)
    assert b"sequence_number" not in stream.content


def test_an_ignored_stream_option_is_answered_as_json(provider: ProviderCaller) -> None:
    for call in (provider.chat, provider.responses):
        response = call("stream-ignored", stream=True)
        assert response.headers["Content-Type"] == "application/json"
        assert response.json()["model"]


def test_latency_delays_the_headers(provider: ProviderCaller) -> None:
    start = time.monotonic()
    provider.chat("latency=0.3", stream=True)
    assert time.monotonic() - start >= 0.3


def test_first_token_delay_comes_after_the_headers_and_the_keep_alive(
    provider: ProviderCaller,
) -> None:
    with provider.chat("first-token-delay=600", stream=True) as response:
        assert next(response.iter_lines(chunk_size=1)) == b": keep-alive"
    start = time.monotonic()
    assert provider.chat("first-token-delay=0.3", stream=True).content
    assert time.monotonic() - start >= 0.3


def test_chunk_delay_spaces_the_pieces_only(provider: ProviderCaller) -> None:
    for call in (provider.chat, provider.responses):
        start = time.monotonic()
        assert call("chunks=4;chunk-delay=0.1", stream=True).content
        assert time.monotonic() - start >= 0.3
        assert call("chunks=1;chunk-delay=600", stream=True).content


def test_a_whole_answer_can_be_slow_too(provider: ProviderCaller) -> None:
    start = time.monotonic()
    assert provider.chat("first-token-delay=0.2").json()["choices"]
    assert time.monotonic() - start >= 0.2
