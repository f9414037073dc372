"""Faults that switches of a request inject into the simulator's answers."""

import asyncio
import http.client
import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from tests.local.provider_simulator.provider_caller import (
    MODEL,
    TIMEOUT_SECONDS,
    ProviderCaller,
    chat_text,
    frames,
    names,
)

TEXT = "Hello from the simulated provider. Words in your message: 1."
ENDPOINTS = ["/chat/completions", "/responses"]


def body(path: str, *, stream: bool = False) -> dict[str, Any]:
    asked: Any = [{"role": "user", "content": "hello"}]
    key = "messages" if path == "/chat/completions" else "input"
    return {"model": MODEL, key: asked, "stream": stream}


def raw_answer(provider: ProviderCaller, path: str, switches: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(urlsplit(provider.url).netloc, timeout=TIMEOUT_SECONDS)
    data = json.dumps(body(path))
    try:
        connection.request("POST", f"/v1{path}", data, provider.headers(switches))
        return connection.getresponse()
    finally:
        connection.close()


def read_until_broken(response: requests.Response) -> bytes:
    seen = b""
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        for data in response.iter_content(1):
            seen += data
    return seen


@pytest.mark.parametrize("path", ENDPOINTS)
def test_reset_resets_before_any_byte_of_an_answer(provider: ProviderCaller, path: str) -> None:
    with pytest.raises(ConnectionResetError) as caught:
        raw_answer(provider, path, "fault=reset")
    assert not isinstance(caught.value, http.client.RemoteDisconnected)
    assert provider.server.calls[-1].status == 0


@pytest.mark.parametrize("path", ENDPOINTS)
def test_close_closes_the_connection_before_any_byte_of_an_answer(
    provider: ProviderCaller, path: str
) -> None:
    with pytest.raises(http.client.RemoteDisconnected):
        raw_answer(provider, path, "fault=close")
    assert provider.server.calls[-1].status == 0


@pytest.mark.parametrize("path", ENDPOINTS)
def test_cut_truncates_a_stream_after_half_the_text(provider: ProviderCaller, path: str) -> None:
    seen = read_until_broken(provider.post(path, body(path, stream=True), "fault=cut"))
    assert b"simulated" in seen
    assert b"message" not in seen.rpartition(b"delta")[2]


def test_cut_truncates_a_whole_answer_half_way(provider: ProviderCaller) -> None:
    response = provider.chat("fault=cut")
    assert int(response.headers["Content-Length"]) > 0
    with pytest.raises((requests.exceptions.ChunkedEncodingError, requests.ConnectionError)):
        _ = response.content


@pytest.mark.parametrize("path", ENDPOINTS)
def test_silent_close_ends_a_stream_cleanly_without_an_end(
    provider: ProviderCaller, path: str
) -> None:
    content = provider.post(path, body(path, stream=True), "fault=silent-close").content
    assert b"simulated" in content
    assert b"[DONE]" not in content
    assert b"response.completed" not in content


@pytest.mark.parametrize("path", ENDPOINTS)
def test_error_frame_ends_a_stream_with_a_wrapped_error(
    provider: ProviderCaller, path: str
) -> None:
    response = provider.post(path, body(path, stream=True), "fault=error-frame")
    *_, last = frames(response)
    assert last["error"]["code"] == "upstream_error"
    assert last.keys() == {"error"}


@pytest.mark.parametrize("path", ENDPOINTS)
def test_error_event_ends_a_stream_with_a_flat_error(provider: ProviderCaller, path: str) -> None:
    response = provider.post(path, body(path, stream=True), "fault=error-event")
    *_, last = frames(response)
    assert names(response)[-1] == "error"
    assert (last["type"], last["code"]) == ("error", "upstream_error")


@pytest.mark.parametrize("stream", [True, False])
def test_stall_pauses_and_then_continues(provider: ProviderCaller, stream: bool) -> None:
    with provider.chat("fault=stall;stall=600", stream=stream) as response:
        assert next(response.iter_content(1))
    start = time.monotonic()
    whole = provider.chat("fault=stall;stall=0.4", stream=stream).text
    assert time.monotonic() - start >= 0.4
    assert whole.endswith("data: [DONE]\n\n" if stream else "}")


@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize("stream", [True, False])
def test_malformed_sends_json_that_does_not_parse(
    provider: ProviderCaller, path: str, stream: bool
) -> None:
    response = provider.post(path, body(path, stream=stream), "fault=malformed")
    with pytest.raises(ValueError, match="line 1 column"):
        _ = list(frames(response)) if stream else response.json()


def test_no_done_leaves_out_only_the_end(provider: ProviderCaller) -> None:
    events = list(frames(provider.chat("fault=no-done", stream=True)))
    assert chat_text(events) == TEXT
    assert "[DONE]" not in events
    assert events[-1]["choices"][0]["finish_reason"] == "stop"
    assert names(provider.responses("fault=no-done", stream=True))[-1].endswith("item.done")


@pytest.mark.parametrize(
    "switches",
    ["fault=silent-close", "fault=error-frame", "fault=error-event", "fault=no-done",
     "first-event=error"],
)  # fmt: skip
def test_a_fault_of_streams_is_refused_for_a_whole_answer(
    provider: ProviderCaller, switches: str
) -> None:
    response = provider.chat(switches)
    assert response.status_code == 400
    assert "stream: true" in response.json()["error"]["message"]


@pytest.mark.parametrize(("switches", "status"), [("", 503), (";status=429", 429)])
def test_the_first_event_can_be_an_error(
    provider: ProviderCaller, switches: str, status: int
) -> None:
    for call in (provider.chat, provider.responses):
        response = call(f"first-event=error{switches}", stream=True)
        assert response.status_code == 200
        (only,) = frames(response)
        assert only["error"]["status"] == status


@pytest.mark.parametrize(
    ("switches", "fails"),
    [
        ("status=429;times=2", lambda r: r.status_code == 429),
        ("fault=malformed;times=2", lambda r: not r.content.endswith(b"}")),
    ],
)
def test_a_failure_can_be_limited_to_a_number_of_times(
    provider: ProviderCaller, switches: str, fails: Callable[[requests.Response], bool]
) -> None:
    outcomes = [fails(provider.chat(switches)) for _ in range(4)]
    assert outcomes == [True, True, False, False]


def test_each_id_has_its_own_count(provider: ProviderCaller) -> None:
    statuses = [
        provider.chat(switches).status_code
        for switches in (
            "status=500;times=1;id=a",
            "status=500;times=1;id=b",
            "status=503;times=1;id=a",
            "status=500;times=1;id=b",
        )
    ]
    assert statuses == [500, 500, 200, 200]


def test_a_failure_without_times_never_ends(provider: ProviderCaller) -> None:
    assert {provider.chat("status=500").status_code for _ in range(3)} == {500}


def test_the_models_can_fail_too(provider: ProviderCaller) -> None:
    assert provider.models("status=500").status_code == 500
    with pytest.raises(requests.ConnectionError):
        provider.models("fault=reset")


def test_a_disconnected_caller_prints_nothing(
    provider: ProviderCaller, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    for switches in ("chunks=50;chunk-delay=0.01", "fault=stall", "words=200000;chunks=9"):
        response = provider.chat(switches, stream=True)
        next(response.iter_content(1))
        response.close()
    time.sleep(0.3)
    assert provider.chat(say="Reply with: still here").status_code == 200
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []


def test_stopping_does_not_wait_for_a_stalled_stream(
    provider: ProviderCaller, loop: asyncio.AbstractEventLoop
) -> None:
    with provider.chat("fault=stall;stall=600", stream=True) as response:
        next(response.iter_content(1))
        asyncio.run_coroutine_threadsafe(provider.server.stop(), loop).result(TIMEOUT_SECONDS)
