"""Responses streams that violate the protocol: never a crash, never a text lost or sent twice."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_relay.providers.dialects.dialect import ABLITERATION
from llm_relay.streaming.responses.normalizer import ResponsesNormalizer
from llm_relay.streaming.sse import FrameBuffer, encode_event, without_harmful_lines
from tests.unit.streaming.response_streams import (
    BODY,
    COMPLETED,
    Event,
    call,
    decoded,
    full,
    helper_on,
    message,
    minimal,
    passed,
    reasoning,
    refusal,
    search,
    stream_of,
    summary,
    without,
)
from tests.unit.streaming.strict_client import StrictClient

RICH = stream_of(
    reasoning(0, "H", "m."),
    summary(1, "S", "um"),
    search(2),
    message(3, "Hel", "lo"),
    refusal(4, "N", "o."),
    call(5, '{"a"', ":1}"),
    call(6, '{"b"', ":2}", item_id="fc_2", call_id="call_2"),
)
KINDS = sorted({e["type"].removeprefix("response.") for e in RICH} - {"completed"})
PLACES = ["item_id", "output_index", "content_index", "summary_index", "sequence_number"]
NAMES = ["usage", "content", "id", "type", "delta", "item_id", "output_index", "choices", "item"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)
# Names that no event has, over values that look like events.
EXTRA = st.dictionaries(st.text(min_size=1, max_size=5).map("x_{}".format), JSON, max_size=2)
FIELDS = st.sampled_from(
    ["response", "item", "item_id", "output_index", "content_index", "summary_index", "delta",
     "text", "part", "arguments", "name", "call_id", "sequence_number", "annotation"]
)  # fmt: skip


def nulled(events: list[Event], names: set[str]) -> list[Event]:
    return [e | dict.fromkeys(names & e.keys()) for e in events]


@given(
    missing=st.sampled_from([(), *((kind,) for kind in KINDS)]),
    field=st.sampled_from(["", *PLACES]),
    nulls=st.sets(st.sampled_from([*PLACES, "logprobs"]), max_size=2),
    at_zero=st.booleans(),
    extra=EXTRA,
)
@settings(deadline=None, max_examples=300)
def test_each_text_of_an_incomplete_stream_is_sent_once_for_a_strict_client(
    missing: tuple[str, ...], field: str, nulls: set[str], at_zero: bool, extra: Event
) -> None:
    events = nulled(without(RICH, *missing, name=field), nulls)
    if at_zero:
        events = [e | {"output_index": 0} if "output_index" in e else e for e in events]
    client = StrictClient(decoded(passed(*(extra | e for e in events))))
    assert client.is_consistent
    assert client.texts("message", "text") == ["Hello"]
    assert client.texts("message", "refusal") == ["No."]
    assert client.texts("function_call", "arguments") == ['{"a":1}', '{"b":2}']
    assert sorted(client.texts("reasoning", "text")) == ["Hm.", "Sum"]


@given(EXTRA)
@settings(deadline=None)
def test_a_complete_stream_with_any_additions_passes_byte_for_byte(extra: Event) -> None:
    frames = [encode_event(extra | e, e["type"]) for e in RICH]
    assert passed(*frames) == b"".join(frames)


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")  # of unused fields
@given(st.lists(st.tuples(st.sampled_from(KINDS), st.dictionaries(FIELDS, JSON)), max_size=8))
@settings(deadline=None)
def test_no_events_break_the_stream_or_a_strict_client(
    events: list[tuple[str, Any]],
) -> None:
    typed = [{"type": f"response.{kind}"} | fields for kind, fields in events]
    out = passed(*typed, COMPLETED)
    StrictClient(decoded(out))
    with helper_on(out) as helper:
        assert helper.get_final_response().status == "completed"


@given(
    pieces=st.lists(st.text(max_size=8), max_size=6),
    short=st.booleans(),
    places=st.lists(st.integers(min_value=0), max_size=12),
    extra=st.dictionaries(st.text(min_size=1, max_size=5), JSON, max_size=2),
)
@settings(deadline=None, max_examples=60)
def test_however_a_stream_is_split_no_delta_is_lost_or_reordered(
    pieces: list[str], short: bool, places: list[int], extra: dict[str, Any]
) -> None:
    source = minimal(*pieces) if short else full(*pieces)
    data = b"".join(encode_event(extra | e, e["type"]) for e in source)
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    buffer, stream = FrameBuffer(), ResponsesNormalizer(BODY, ABLITERATION)
    chunks = [data[a:b] for a, b in zip(edges, edges[1:], strict=False)]
    out = b"".join(stream.normalize(without_harmful_lines(buffer.feed(chunk))) for chunk in chunks)
    deltas = [e["delta"] for e in decoded(out) if e["type"] == "response.output_text.delta"]
    assert "".join(deltas) == "".join(pieces)
    with helper_on(out) as helper:
        assert helper.get_final_response().output_text == "".join(pieces)
