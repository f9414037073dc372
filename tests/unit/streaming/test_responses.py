"""Responses streams, whole and short, as the official client takes them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llm_relay.core.errors import UpstreamFailed
from llm_relay.providers.dialects.dialect import ABLITERATION
from llm_relay.streaming.responses.normalizer import ResponsesNormalizer
from llm_relay.streaming.sse import encode_event
from tests.unit.streaming.response_streams import (
    BODY,
    COMPLETED,
    CREATED,
    USAGE,
    decoded,
    deltas,
    full,
    helper_on,
    message,
    minimal,
    passed,
    place,
    search,
    without,
)


def test_a_whole_stream_passes_byte_for_byte() -> None:
    frames = [encode_event(e, e["type"]) for e in full("Hel", "lo")] + [
        b": hi\n\n",
        b"data: [DONE]\n\n",
    ]
    assert passed(*frames) == b"".join(frames)


def test_the_documented_three_events_become_the_full_sequence() -> None:
    events = decoded(passed(*minimal("Hel", "lo")))
    assert [e["type"].removeprefix("response.") for e in events] == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert [e["sequence_number"] for e in events] == list(range(10))
    (item,) = events[-1]["response"]["output"]
    assert item["content"][0]["text"] == "Hello"
    assert {e["item_id"] for e in events if "item_id" in e} == {item["id"]}


@pytest.mark.parametrize(
    "events",
    [
        minimal("Hel", "lo"),
        full("Hel", "lo"),
        minimal("Hel", "lo")[1:],
        without(full("Hel", "lo"), name="sequence_number"),
        without(full("Hel", "lo"), name="item_id"),
        without(full("Hel", "lo"), name="output_index"),
        without(full("Hel", "lo"), name="content_index"),
        without(full("Hel", "lo"), "in_progress"),
        without(full("Hel", "lo"), "output_item.added"),
        without(full("Hel", "lo"), "content_part.added"),
        without(full("Hel", "lo"), "output_item.done"),
        without(full("Hel", "lo"), "output_text.done", "content_part.done"),
        without(full("Hel", "lo"), "output_text.delta"),
        without(full("Hel", "lo"), "output_item.added", "content_part.added", "created"),
        [full("Hello")[0], full("Hello")[-1]],
    ],
)
def test_the_official_helper_gets_the_text_of_an_incomplete_stream(events: Any) -> None:
    with helper_on(passed(*events)) as stream:
        deltas = [e.delta for e in stream if e.type == "response.output_text.delta"]
        response = stream.get_final_response()
    assert "".join(deltas) == "Hello"
    assert response.output_text == "Hello"
    assert response.status == "completed"


def test_usage_gets_the_details_that_the_types_require() -> None:
    events = minimal("x")
    events[-1]["response"]["usage"] = {"input_tokens": 3, "output_tokens": 2}
    assert decoded(passed(*events))[-1]["response"]["usage"] == USAGE


def test_fields_that_the_provider_adds_are_kept() -> None:
    events = minimal("x")
    events[-1]["remaining_credits"] = 7
    events[-1]["response"]["estimated_cost_usd"] = 0.5
    last = decoded(passed(*events))[-1]
    assert (last["remaining_credits"], last["response"]["estimated_cost_usd"]) == (7, 0.5)


def test_an_incomplete_response_is_reported_as_incomplete() -> None:
    events = minimal("Hel")
    events[-1]["type"] = "response.incomplete"
    why = {"incomplete_details": {"reason": "max_output_tokens"}}
    events[-1]["response"] |= why | {"status": "incomplete"}
    last = decoded(passed(*events))[-1]
    assert last["type"] == "response.incomplete"
    assert last["response"]["output"][0]["status"] == "incomplete"
    assert last["response"]["incomplete_details"] == {"reason": "max_output_tokens"}


def test_a_failure_after_some_text_keeps_the_text_and_the_count() -> None:
    stream = ResponsesNormalizer(BODY, ABLITERATION)
    for each in full("Hel", "lo")[:6]:
        stream.normalize(encode_event(each, each["type"]))
    (failed,) = decoded(stream.failure_frames(UpstreamFailed("It broke off.")))
    assert (failed["type"], failed["sequence_number"]) == ("response.failed", 6)
    assert failed["response"]["id"] == "resp_1"
    assert failed["response"]["error"]["message"] == "It broke off."
    assert failed["response"]["output"][0]["content"][0]["text"] == "Hello"


def test_an_unknown_event_type_passes() -> None:
    new: dict[str, Any] = {"type": "response.telepathy.delta", "delta": "x", "sequence_number": 4}
    events = full("Hel", "lo")
    frame = encode_event(new, new["type"])
    assert frame in passed(*events[:4], frame)


def test_a_created_that_comes_after_a_search_is_not_sent_again() -> None:
    """The provider's pages have the search first, then the model's own stream."""
    events = decoded(passed(*search(0), CREATED, *deltas("output_text", "Hi"), COMPLETED))
    assert [e["type"] for e in events].count("response.created") == 1
    assert len({e["response"]["id"] for e in events if "response" in e}) == 1
    with helper_on(passed(*search(0), CREATED, *message(0, "Hi"), COMPLETED)) as stream:
        assert stream.get_final_response().output_text == "Hi"


def test_a_late_created_event_still_sets_the_model() -> None:
    stream = ResponsesNormalizer({"model": "asked"}, ABLITERATION)
    for each in [*search(0), CREATED]:
        stream.normalize(encode_event(each, each["type"]))
    assert stream.model == "m"


def test_a_queued_response_passes_byte_for_byte() -> None:
    created, *rest = full("Hello")
    queued = created | {"type": "response.queued"}
    queued["response"] = created["response"] | {"status": "queued"}
    frames = [encode_event(e, e["type"]) for e in (created, queued, *rest)]
    assert passed(*frames) == b"".join(frames)


def test_done_before_the_end_is_held_back() -> None:
    stream = ResponsesNormalizer(BODY, ABLITERATION)
    for each in minimal("Hi")[:-1]:
        stream.normalize(encode_event(each, each["type"]))
    assert stream.normalize(b"data: [DONE]\n\n") == b""
    assert stream.closing_frames() is None
    assert decoded(stream.failure_frames(UpstreamFailed("Cut.")))[-1]["type"] == "response.failed"


def test_numbering_continues_after_deltas_that_passed_unchanged() -> None:
    events = without(full(*"Hello"), "output_text.done", "content_part.done", "output_item.done")
    numbers = [e["sequence_number"] for e in decoded(passed(*events))]
    assert numbers == list(range(len(full(*"Hello"))))


def at_once(events: list[dict[str, Any]], separators: tuple[str, str] = (",", ":")) -> list[Any]:
    """Return the output of a stream that comes in one piece."""
    frames = [f"data: {json.dumps(each, separators=separators)}\n\n".encode() for each in events]
    stream = ResponsesNormalizer(BODY, ABLITERATION)
    out = stream.normalize(b"".join(frames))
    assert stream.invalid_event is None
    return decoded(out)


PIECES = ["a", "100 %", "", '"\\\n', "é", "%(piece)b", "😀", "b", "c"]
DELTA = {"type": "response.output_text.delta"}


@pytest.mark.parametrize(
    "events",
    [
        full(*PIECES),
        minimal(*PIECES),
        without(full(*PIECES), name="logprobs"),
        without(full(*PIECES), name="item_id"),
        without(full(*PIECES), name="sequence_number"),
        without(full(*PIECES), "output_item.added", "content_part.added"),
        [each | {"obfuscation": str(number)} for number, each in enumerate(minimal(*PIECES))],
        [each | {"content": str(number)} for number, each in enumerate(full(*PIECES))],
        [each | {"x": {"sequence_number": 7}} for each in minimal(*PIECES)],
        [each | {"x": {"delta": "no piece"}} for each in minimal(*PIECES)],
        [*minimal(*PIECES)[:-1], *[DELTA | {"content": "no piece"}] * 2, minimal("x")[-1]],
        [*full(*PIECES)[:8], *[search(1)[0]] * 2, *full(*PIECES)[8:]],
        [*full("a", "b", "c")[:7], *message(1, "d", "e", "f", item_id="msg_2"), COMPLETED],
        [*full(*"abc")[:7], full("a")[4] | place("msg_2", 1), *full(*"abc")[5:7] * 2, COMPLETED],
        [CREATED, *full("a", "b")[1:6], *[full("c")[4]] * 2, COMPLETED],
        without(full("", *PIECES), "output_text.done", "content_part.done", "output_item.done"),
    ],
)
def test_deltas_in_a_burst_are_normalized_like_single_deltas(events: Any) -> None:
    assert at_once(events) == at_once(events, (",", " : ")) == decoded(passed(*events))


@pytest.mark.parametrize(
    "error",
    [
        {"type": "error", "code": "boom", "message": "It broke"},
        {"type": "error", "error": {"message": "It broke"}},
        {"error": {"message": "It broke"}},
    ],
)
def test_an_error_event_that_clients_know_passes_unchanged(error: dict[str, Any]) -> None:
    stream = ResponsesNormalizer(BODY, ABLITERATION)
    stream.normalize(encode_event(CREATED))
    assert stream.normalize(encode_event(error, "error")) == encode_event(error, "error")
    assert (stream.failure_code, stream.first_event_error) == ("provider_error", None)


def test_an_event_named_error_is_sent_as_an_error() -> None:
    stream = ResponsesNormalizer(BODY, ABLITERATION)
    error = {"type": "server_error", "message": "It broke"}
    assert decoded(stream.normalize(encode_event(error, "error"))) == [{"error": error}]
    assert stream.first_event_error == error
