"""What a caller sees of a stream that does not go as it should, on both surfaces."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from functions.chat_completions.handler import handler
from tests.functions.conftest import Context, proxy_event
from tests.support.payloads import (
    COMPLETED,
    CREATED,
    DONE,
    IN_PROGRESS,
    STREAMED_INPUT,
    STREAMED_QUESTION,
    USAGE,
    delta,
    frame,
)
from tests.support.scripted_provider import CLOSE, RESET, chunk, stream, wait_until, whole
from tests.support.stopwatch import Stopwatch

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.functions.conftest import Answered
    from tests.support.scripted_provider import ScriptedProvider


def events_in(body: bytes) -> list[Any]:
    frames = [part for part in body.decode().split("\n\n") if part and not part.startswith(":")]
    lines = [line for part in frames for line in part.splitlines() if line.startswith("data: ")]
    return [line[6:] if line == "data: [DONE]" else json.loads(line[6:]) for line in lines]


@pytest.mark.parametrize(
    "end",
    [
        [RESET],
        [CLOSE],
        [b"0\r\n\r\n"],
        [chunk(b'data: {"choi'), CLOSE],
        [chunk(b'data: {"choi'), b"0\r\n\r\n"],
        [b"5\r\nab", CLOSE],
        [b"zzz\r\n", CLOSE],
    ],
)
def test_an_interrupted_chat_stream_ends_in_an_error(
    provider: ScriptedProvider, ask: Callable[..., Answered], end: list[Any]
) -> None:
    begun = threading.Barrier(2)
    provider.scripts = [[*stream(delta("a"), end=False), begun, *end]]
    answer = ask(STREAMED_QUESTION, at_first=begun.wait)
    first, last = events_in(answer.body)
    assert first["choices"][0]["delta"]["content"] == "a"
    assert last["error"]["code"] == "upstream_error"
    assert b"[DONE]" not in answer.body


@pytest.mark.parametrize("end", [[RESET], [b"0\r\n\r\n"]])
def test_an_interrupted_responses_stream_ends_in_response_failed(
    provider: ScriptedProvider, ask: Callable[..., Answered], end: list[Any]
) -> None:
    begun = threading.Barrier(2)
    provider.scripts = [[*stream(CREATED + IN_PROGRESS, end=False), begun, *end]]
    last = events_in(ask(STREAMED_INPUT, "responses", at_first=begun.wait).body)[-1]
    assert last["type"] == "response.failed"
    assert last["sequence_number"] == 2
    assert last["response"]["id"] == "resp_1"
    assert last["response"]["status"] == "failed"
    assert last["response"]["error"]["code"] == "server_error"


def test_a_complete_responses_stream_passes_byte_for_byte(
    provider: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    frames = [CREATED, IN_PROGRESS, COMPLETED, DONE]
    provider.scripts = [stream(*frames)]
    assert ask(STREAMED_INPUT, "responses").body == b"".join(frames)


def test_a_finish_reason_without_done_gets_its_done(
    provider: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    provider.scripts = [stream(delta("a", "stop"))]
    assert ask(STREAMED_QUESTION).body == delta("a", "stop") + DONE


def test_a_last_frame_without_its_blank_line_gets_it(
    provider: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    provider.scripts = [stream(delta("a", "stop"), DONE.rstrip())]
    assert ask(STREAMED_QUESTION).body == delta("a", "stop") + DONE


def test_a_finish_reason_followed_by_silence_or_a_reset_is_an_end(
    environment: pytest.MonkeyPatch, provider: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    environment.setenv("UPSTREAM_IDLE_SECONDS", "1")
    begun = threading.Barrier(2)
    provider.scripts = [
        [*stream(delta("a", "stop"), end=False), begun, RESET],
        stream(delta("a", "stop"), begun, 30.0),
    ]
    for _ in provider.scripts:
        answer = ask(STREAMED_QUESTION, at_first=begun.wait)
        assert answer.body == delta("a", "stop") + DONE


def test_keep_alives_are_sent_while_only_removed_or_partial_frames_arrive(
    environment: pytest.MonkeyPatch, provider: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    environment.setenv("KEEP_ALIVE_SECONDS", "0.2")
    whole_frame = delta("b", "stop")
    parts = [whole_frame[at : at + 4] for at in range(0, len(whole_frame), 4)]
    drip = [step for part in parts for step in (part, 0.02)]
    provider.scripts = [stream(delta("a"), *([b"data:\n\n", 0.05] * 20), *drip, DONE)]
    body = ask(STREAMED_QUESTION).body
    assert body.count(b": keep-alive\n\n") >= 5
    assert body.replace(b": keep-alive\n\n", b"") == delta("a") + delta("b", "stop") + DONE


def test_a_stream_that_never_pauses_ends_at_the_deadline(
    warm: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    warm.scripts = [stream(*([delta("a"), 0.02] * 2000))]
    with Stopwatch() as took:
        last = events_in(ask(STREAMED_QUESTION, seconds=3).body)[-1]
    assert last["error"]["code"] == "upstream_timeout"
    assert took.seconds < 3


@pytest.mark.usefixtures("short_timeouts")
def test_silence_in_a_stream_may_exceed_the_first_byte_timeout(
    warm: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    warm.scripts = [stream(delta("a"), 5.0, delta("b", "stop"), DONE)]
    assert ask(STREAMED_QUESTION).body == delta("a") + delta("b", "stop") + DONE


def test_each_silence_is_timed_separately_despite_comments(
    environment: pytest.MonkeyPatch, provider: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    environment.setenv("UPSTREAM_IDLE_SECONDS", "5")
    environment.setenv("KEEP_ALIVE_SECONDS", "0.3")
    provider.scripts = [stream(*([delta("a"), 0.95] * 7), delta("b", "stop"), DONE)]
    body = ask(STREAMED_QUESTION).body
    expected = delta("a") * 7 + delta("b", "stop") + DONE
    assert body.replace(b": keep-alive\n\n", b"") == expected


def test_a_silence_that_is_too_long_is_reported_despite_comments(
    environment: pytest.MonkeyPatch, provider: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    environment.setenv("UPSTREAM_IDLE_SECONDS", "1")
    environment.setenv("KEEP_ALIVE_SECONDS", "0.3")
    provider.scripts = [stream(delta("a"), 30.0)]
    last = events_in(ask(STREAMED_QUESTION).body)[-1]
    assert last["error"]["code"] == "upstream_timeout"


def test_good_frames_before_a_broken_one_in_the_same_piece_arrive(
    provider: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    begun = threading.Barrier(2)
    provider.scripts = [stream(delta("a"), begun, delta("b") + b"data: {oops\n\n")]
    *texts, last = events_in(ask(STREAMED_QUESTION, at_first=begun.wait).body)
    assert [t["choices"][0]["delta"]["content"] for t in texts] == ["a", "b"]
    assert last["error"]["code"] == "upstream_error"


def test_a_reset_after_the_end_changes_nothing(
    provider: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    begun = threading.Barrier(2)
    provider.scripts = [[*stream(delta("a", "stop") + DONE, end=False), begun, RESET]]
    answer = ask(STREAMED_QUESTION, at_first=begun.wait)
    assert answer.body == delta("a", "stop") + DONE


def test_an_open_connection_after_the_end_is_not_waited_for(
    provider: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    provider.scripts = [stream(delta("a", "stop"), DONE, 30.0)]
    with Stopwatch() as took:
        assert ask(STREAMED_QUESTION).body == delta("a", "stop") + DONE
    assert took.seconds < 15


def test_comments_after_the_end_are_not_waited_for(
    provider: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    comments = [0.2, b": ping\n\n"] * 150
    provider.scripts = [stream(delta("a", "stop") + DONE, *comments)]
    with Stopwatch() as took:
        assert ask(STREAMED_QUESTION).body.startswith(delta("a", "stop") + DONE)
    assert took.seconds < 15


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ({"message": "x", "status": 503}, 503),
        ({"message": "x", "code": 429}, 429),
        ({"message": "x", "type": "rate_limit_error"}, 429),
        ({"message": "x", "type": "invalid_request_error"}, 400),
        ({"message": "x"}, 502),
    ],
)
def test_an_error_as_the_first_event_sets_the_status(
    provider: ScriptedProvider, ask: Callable[..., Answered], error: Any, status: int
) -> None:
    provider.scripts = [stream(b": hi\n\n", frame({"error": error}) + DONE)]
    answer = ask(STREAMED_QUESTION)
    assert answer.status == status
    assert answer.error["message"].startswith("x")
    assert answer.headers["content-type"] == "application/json"


def test_a_stream_without_any_event_is_a_502(
    provider: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    provider.scripts = [stream(b": hi\n\n")]
    assert ask(STREAMED_QUESTION).status == 502


def test_a_stream_with_only_comments_ends_in_an_error(
    provider: ScriptedProvider, ask: Callable[..., Answered], environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("KEEP_ALIVE_SECONDS", "0.1")
    begun = threading.Barrier(2)
    provider.scripts = [stream(begun)]
    answer = ask(STREAMED_QUESTION, at_first=begun.wait)
    assert answer.status == 200
    assert [each["error"]["code"] for each in events_in(answer.body)] == ["upstream_error"]


def test_the_provider_s_own_error_event_passes_and_nothing_is_added(
    provider: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    frames = delta("a") + frame({"error": {"message": "overloaded"}})
    provider.scripts = [stream(frames)]
    assert ask(STREAMED_QUESTION).body == frames


def test_an_event_that_is_not_json_ends_the_stream_with_an_error(
    provider: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    provider.scripts = [stream(delta("a"), b"data: {oops\n\n", delta("b", "stop"), DONE)]
    first, last = events_in(ask(STREAMED_QUESTION).body)
    assert first["choices"]
    assert last["error"]["code"] == "upstream_error"


def test_silence_is_filled_with_comments_between_frames(
    environment: pytest.MonkeyPatch, provider: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    environment.setenv("KEEP_ALIVE_SECONDS", "0.1")
    half = len(delta("a")) // 2
    script = [0.5, delta("a")[:half], 0.5, delta("a")[half:], 0.5, delta("b", "stop"), DONE]
    provider.scripts = [stream(*script)]
    body = ask(STREAMED_QUESTION).body
    comment = b": keep-alive\n\n"
    assert body.count(comment) >= 3
    assert body.startswith(comment)
    assert body.replace(comment, b"") == delta("a") + delta("b", "stop") + DONE


def test_a_stream_that_outlives_the_function_s_time_ends_in_an_error(
    warm: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    warm.scripts = [stream(delta("a"), 30.0)]
    with Stopwatch() as took:
        last = events_in(ask(STREAMED_QUESTION, seconds=3).body)[-1]
    assert last["error"]["code"] == "upstream_timeout"
    assert took.seconds < 3


def test_harmful_lines_are_removed(
    provider: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    harmful = b"retry: 5\n\nid: 7\n" + delta("a") + b"data:\n\nevent: ping\n\n"
    provider.scripts = [stream(harmful, delta("b", "stop"), DONE)]
    assert ask(STREAMED_QUESTION).body == delta("a") + delta("b", "stop") + DONE


def test_a_disconnected_caller_ends_the_provider_s_stream(
    provider: ScriptedProvider,
) -> None:
    provider.scripts = [stream(delta("a"), *([0.05, delta("b")] * 200))]
    event = proxy_event("POST", "/v1/chat/completions", STREAMED_QUESTION)
    result = handler(event, Context(60, time.monotonic()))
    next(iter(result.body))
    result.close()
    wait_until(provider.disconnected.is_set)


def test_a_slow_caller_applies_backpressure_to_the_provider(provider: ScriptedProvider) -> None:
    written = threading.Event()
    big = delta("x" * 500_000)
    provider.scripts = [stream(*([big] * 40), written, delta("", "stop"), DONE)]
    event = proxy_event("POST", "/v1/chat/completions", STREAMED_QUESTION)
    result = handler(event, Context(60, time.monotonic()))
    assert not written.wait(0.5)  # 20 MB fit into no buffer on the way
    assert sum(len(piece) for piece in result.body) > 20_000_000
    assert written.is_set()


def test_a_stream_is_metered_after_its_last_byte(
    provider: ScriptedProvider, ask: Callable[..., Answered], capsys: pytest.CaptureFixture[str]
) -> None:
    provider.scripts = [stream(delta("a", "stop"), USAGE, DONE)]
    ask(STREAMED_QUESTION)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (metrics,) = [line for line in lines if "_aws" in line]
    assert metrics["TokensIn"] == [12]
    assert metrics["TokensOut"] == [6]
    assert metrics["CostUsd"] == [0.00009]
    assert metrics["model"] == "abliterated-model"


def test_a_refused_stream_is_a_plain_error(
    provider: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    provider.scripts = [whole(400, {"error": {"message": "no such model"}})]
    assert ask(STREAMED_QUESTION).error["message"].startswith("no such model")
