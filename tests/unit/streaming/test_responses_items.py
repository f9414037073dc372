"""Output items of every kind in Responses streams, whole and short."""

from __future__ import annotations

from typing import Any

import pytest

from llm_relay.streaming.sse import encode_event
from tests.unit.streaming.response_streams import (
    COMPLETED,
    CREATED,
    HEAD,
    Event,
    call,
    decoded,
    deltas,
    full,
    helper_on,
    message,
    numbered,
    passed,
    reasoning,
    refusal,
    search,
    stream_of,
    summary,
    without,
)
from tests.unit.streaming.strict_client import StrictClient

RICH = [
    reasoning(0, "H", "m."),
    summary(1, "S", "um"),
    search(2),
    message(3, "Hel", "lo"),
    refusal(4, "N", "o."),
    call(5, '{"a"', ":1}"),
    call(6, '{"b"', ":2}", item_id="fc_2", call_id="call_2"),
]


def kinds(events: list[Event]) -> list[str]:
    return [e["item"]["type"] for e in events if e["type"] == "response.output_item.added"]


@pytest.mark.parametrize("items", [*([item] for item in RICH[:1]), RICH, [search(0), message(1)]])
def test_a_whole_stream_of_any_items_passes_byte_for_byte(items: Any) -> None:
    frames = [encode_event(e, e["type"]) for e in stream_of(*items)]
    assert passed(*frames) == b"".join(frames)


def test_interleaved_calls_pass_byte_for_byte() -> None:
    one, two = call(0, "1", "2"), call(1, "3", "4", item_id="fc_2", call_id="call_2")
    mixed = [each for pair in zip(one, two, strict=True) for each in pair]
    whole = stream_of(one, two)
    events = numbered([*whole[:2], *mixed, whole[-1]])
    frames = [encode_event(e, e["type"]) for e in events]
    assert passed(*frames) == b"".join(frames)


@pytest.mark.parametrize(
    ("kind", "item", "name"),
    [
        ("reasoning_text", "reasoning", "text"),
        ("reasoning_summary_text", "reasoning", "text"),
        ("refusal", "message", "refusal"),
        ("output_text", "message", "text"),
    ],
)
def test_a_text_without_an_index_gets_its_item_and_its_part(
    kind: str, item: str, name: str
) -> None:
    client = StrictClient(decoded(passed(CREATED, *deltas(kind, "H", "m."), COMPLETED)))
    assert client.texts(item, name) == ["Hm."]
    assert client.final["output"][0]["type"] == item


def test_interleaved_texts_stay_separate() -> None:
    turns = [*deltas("reasoning_text", "H"), *deltas("output_text", "a")] * 2
    client = StrictClient(decoded(passed(CREATED, *turns, COMPLETED)))
    assert client.texts("reasoning", "text") == ["HH"]
    assert client.texts("message", "text") == ["aa"]


def test_reasoning_sent_as_text_of_its_own_item_stays_reasoning() -> None:
    odd = [e | {"part": {"type": "output_text"}} if "part" in e else e for e in reasoning(0, "Hm.")]
    client = StrictClient(decoded(passed(CREATED, *odd, *message(1, "Hi"), COMPLETED)))
    assert [item["type"] for item in client.output] == ["reasoning", "message"]
    assert client.texts("message", "text") == ["Hi"]


def test_a_search_without_an_index_gets_its_item() -> None:
    bare = without([without([each], name="item_id")[0] for each in search(0)], name="output_index")
    items = [e | {"item": {"type": "web_search_call"}} if "item" in e else e for e in bare]
    for events in (items, items[1:-1]):
        sent_events = decoded(passed(CREATED, *events, *deltas("output_text", "Hi"), COMPLETED))
        client = StrictClient(sent_events)
        assert kinds(sent_events) == ["web_search_call", "message"]
        assert client.final["output"][0]["status"] == "completed"


@pytest.mark.parametrize(
    "items",
    [
        [search(0), message(0, "Hel", "lo")],
        [message(0, "Hel", "lo"), call(0, "{", "}")],
        [call(0, '{"a"', ":1}"), call(0, '{"b"', ":2}", item_id="fc_2", call_id="call_2")],
    ],
)
def test_items_with_the_same_index_are_distinguished(items: Any) -> None:
    client = StrictClient(decoded(passed(*stream_of(*items))))
    for sent, item in zip(client.output, items, strict=True):
        done = item[-1]["item"]
        assert sent == done | {"status": "in_progress", "is_done": True}


@pytest.mark.parametrize("index", [None, 7, "x"])
def test_a_part_with_its_own_index_is_sent_where_it_is_valid(index: Any) -> None:
    events = [e | {"content_index": index} if "content_index" in e else e for e in full("a", "b")]
    assert StrictClient(decoded(passed(*events))).texts("message", "text") == ["ab"]


def test_a_second_part_is_announced() -> None:
    more = deltas("output_text", "X", item_id="msg_1", output_index=0, content_index=1)
    events = full("Hello")
    out = decoded(passed(*events[:5], *more, *events[5:-2], COMPLETED))
    assert StrictClient(out).texts("message", "text") == ["Hello", "X"]


@pytest.mark.parametrize("first", [[], [reasoning(0, "Hm.")]])
def test_a_response_that_lists_its_output_repeats_no_text(first: Any) -> None:
    output = [item[-1]["item"] for item in [*first, message(1, "Hello")]]
    completed = COMPLETED | {"response": HEAD | {"output": output}}
    client = StrictClient(decoded(passed(CREATED, *deltas("output_text", "Hel", "lo"), completed)))
    assert client.texts("message", "text") == ["Hello"]
    assert {item["type"] for item in client.final["output"]} == {item["type"] for item in output}
    assert len(client.final["output"]) == len(output)


def test_announced_ids_are_kept_to_the_end() -> None:
    events = full("Hello")
    for each in (events[-2]["item"], events[-1]["response"]["output"][0]):
        each["id"] = "msg_other"
    client = StrictClient(decoded(passed(*events)))
    assert [item["id"] for item in client.final["output"]] == ["msg_1"]


@pytest.mark.parametrize("at", [2, 3, 5, 8])
def test_a_late_or_repeated_announcement_adds_no_second_item(at: int) -> None:
    _, _, added, *_ = events = full("Hel", "lo")
    for rest in (events, [e for e in events if e is not added]):
        out = decoded(passed(*rest[:at], added, *rest[at:]))
        assert kinds(out) == ["message"]
        assert StrictClient(out).texts("message", "text") == ["Hello"]


@pytest.mark.parametrize("name", ["id", "status", "content", "arguments", "summary", "role"])
@pytest.mark.parametrize("value", [None, 7, "x", ["x"]])
def test_items_with_an_invalid_field_are_still_sent(name: str, value: Any) -> None:
    events = stream_of(*RICH)
    odd = [e | {"item": e["item"] | {name: value}} if "item" in e else e for e in events]
    client = StrictClient(decoded(passed(*odd)))
    assert "Hello" in client.texts("message", "text")
    assert client.texts("function_call", "arguments")[:2] == ['{"a":1}', '{"b":2}']


@pytest.mark.parametrize("part", [None, {}, {"type": "output_text"}, {"text": None}])
def test_an_incomplete_part_is_filled(part: Any) -> None:
    events = [e | {"part": part} if "part" in e else e for e in full("Hel", "lo")]
    with helper_on(passed(*events)) as stream:
        assert stream.get_final_response().output_text == "Hello"


def test_a_plain_text_content_becomes_one_part() -> None:
    item = {"type": "message", "content": "Hello"}
    for kind in ("added", "done"):
        event_of_it = {"type": f"response.output_item.{kind}", "item": item}
        client = StrictClient(decoded(passed(CREATED, event_of_it, COMPLETED)))
        assert client.texts("message", "text") == ["Hello"]


def test_annotations_of_a_short_stream_are_in_its_item() -> None:
    cited = {"type": "url_citation", "url": "https://example.com"}
    noted = {"type": "response.output_text.annotation.added", "annotation": cited}
    out = decoded(passed(CREATED, *deltas("output_text", "Hi"), noted, COMPLETED))
    client = StrictClient(out)
    assert client.final["output"][0]["content"][0]["annotations"] == [cited]
    assert [e["annotation_index"] for e in out if "annotation" in e] == [0]


def test_items_of_unknown_types_keep_their_texts() -> None:
    head = {"id": "new_1", "type": "telepathy"}
    inner = message(0, "Hi", item_id="new_1")[1:-1]
    added = {"type": "response.output_item.added", "output_index": 0, "item": head}
    done = {"type": "response.output_item.done", "output_index": 0, "item": head}
    frames = [encode_event(e, e["type"]) for e in stream_of([added, *inner, done])]
    assert passed(*frames) == b"".join(frames)
