"""POST /v1/chat/completions, from event to answer."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from functions.chat_completions.handler import handler
from llm_relay.providers.provider_error import with_hint
from tests.functions.conftest import PROVIDER_KEY, Context, proxy_event
from tests.support.payloads import COMPLETION, DONE, QUESTION, STREAMED_QUESTION, USAGE, delta
from tests.support.scripted_provider import CLOSE, RESET, TIMEOUT_SECONDS, stream, whole
from tests.support.stopwatch import Stopwatch

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.functions.conftest import Answered
    from tests.support.scripted_provider import ScriptedProvider

REFUSED = {"error": {"message": "no", "type": "t", "param": "p", "code": "c"}}


def test_an_answer_passes_byte_for_byte(
    provider: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    body = json.dumps(COMPLETION, indent=3).encode()
    provider.scripts = [whole(200, body)]
    answer = ask(QUESTION)
    assert (answer.status, answer.body) == (200, body)
    assert answer.headers["content-type"] == "application/json"


def test_a_request_passes_byte_for_byte_with_the_provider_s_key(
    environment: pytest.MonkeyPatch, provider: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    environment.setenv("PROVIDER_DIALECT", "openai")
    text = json.dumps(QUESTION | {"a_field_of_tomorrow": {"x": 1}}, indent=2)
    provider.scripts = [whole(200, COMPLETION)]
    ask(text)
    (request,) = provider.requests
    assert request.path == "/v1/chat/completions"
    assert request.body.decode() == text
    assert request.headers["authorization"] == f"Bearer {PROVIDER_KEY}"
    assert request.headers["accept-encoding"] == "identity"


def test_a_body_that_only_the_provider_can_validate_passes_byte_for_byte(
    environment: pytest.MonkeyPatch, provider: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    environment.setenv("PROVIDER_DIALECT", "openai")
    odd = {"messages": ["Hello", {"content": 7}], "tools": {}, "temperature": "hot", "stop": 7}
    text = json.dumps(QUESTION | odd)
    provider.scripts = [whole(400, REFUSED)]
    answer = ask(text)
    assert (answer.status, answer.error["code"]) == (400, "c")
    assert [request.body.decode() for request in provider.requests] == [text]


def test_a_stream_passes_byte_for_byte(
    provider: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    frames = [b": hi\n\n", delta("a"), delta("b", "stop"), USAGE, DONE]
    provider.scripts = [stream(*frames)]
    answer = ask(STREAMED_QUESTION | {"stream_options": {"include_usage": True}})
    assert (answer.status, answer.body) == (200, b"".join(frames))
    assert answer.headers["content-type"] == "text/event-stream"


def test_the_first_chunk_arrives_while_the_provider_still_writes(
    provider: ScriptedProvider,
) -> None:
    read = threading.Barrier(2)
    provider.scripts = [stream(delta("a"), read, delta("b", "stop"), DONE)]
    event = proxy_event("POST", "/v1/chat/completions", STREAMED_QUESTION)
    result = handler(event, Context(60, time.monotonic()))
    assert next(iter(result.body)) == delta("a")
    read.wait(TIMEOUT_SECONDS)  # the provider writes no more before that
    assert b"".join(result.body) == delta("b", "stop") + DONE


@pytest.mark.parametrize("status", [400, 402, 403, 404, 422])
def test_a_refusal_passes_with_its_status_and_is_not_repeated(
    provider: ScriptedProvider, ask: Callable[..., Answered], status: int
) -> None:
    provider.scripts = [whole(status, REFUSED)]
    answer = ask(QUESTION)
    assert answer.status == status
    assert answer.error | {"message": "no"} == REFUSED["error"]
    assert answer.error["message"].startswith("no")
    assert len(provider.requests) == 1


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"detail":"Not here"}', "Not here"),
        (b'{"detail":[{"msg":"x"}]}', '[{"msg": "x"}]'),
        (b'{"message":"Forbidden"}', "Forbidden"),
        (b'{"error":"plain"}', "plain"),
        (b"<html>nginx</html>", "The provider answered 404 without an explanation."),
        (b"", "The provider answered 404 without an explanation."),
        (b'{"error":{"code":7}}', "The provider answered 404 without an explanation."),
        (b"[" * 50_000, "The provider answered 404 without an explanation."),
    ],
)
def test_an_error_of_any_shape_is_returned_in_openai_s_shape(
    provider: ScriptedProvider, ask: Callable[..., Answered], body: bytes, message: str
) -> None:
    provider.scripts = [whole(404, body)]
    answer = ask(QUESTION)
    shape = {"type": "provider_error", "param": None, "code": None}
    assert answer.status == 404
    assert answer.error == shape | {"message": with_hint(404, message)}


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503])
def test_transient_failures_are_retried(
    provider: ScriptedProvider, ask: Callable[..., Answered], status: int
) -> None:
    provider.scripts = [whole(status, REFUSED), whole(200, COMPLETION)]
    answer = ask(QUESTION)
    assert answer.status == 200
    assert answer.headers["x-relay-attempts"] == "2"


def test_two_rate_limits_and_an_answer_are_three_attempts_that_wait(
    provider: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    limited = whole(429, REFUSED, retry_after="1")
    provider.scripts = [limited, limited, whole(200, COMPLETION)]
    started = time.monotonic()
    answer = ask(QUESTION)
    assert answer.status == 200
    assert answer.headers["x-relay-attempts"] == "3"
    assert time.monotonic() - started >= 2


def test_after_three_attempts_the_refusal_is_returned_with_its_headers(
    provider: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    provider.scripts = [whole(429, REFUSED, retry_after="0", x_ratelimit_limit_requests="120")]
    answer = ask(QUESTION)
    assert (answer.status, len(provider.requests)) == (429, 3)
    assert answer.headers["retry-after"] == "0"
    assert answer.headers["x-ratelimit-limit-requests"] == "120"


def test_a_retry_after_beyond_the_maximum_wait_is_returned_to_the_caller(
    provider: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    provider.scripts = [whole(429, REFUSED, retry_after="21")]
    answer = ask(QUESTION)
    assert (answer.status, len(provider.requests)) == (429, 1)
    assert answer.headers["retry-after"] == "21"


def test_a_retry_after_beyond_the_deadline_is_returned_to_the_caller(
    provider: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    provider.scripts = [whole(429, REFUSED, retry_after="14")]
    assert ask(QUESTION, seconds=15).status == 429
    assert len(provider.requests) == 1


@pytest.mark.parametrize("end", [RESET, CLOSE])
def test_a_connection_closed_before_the_answer_is_not_retried(
    provider: ScriptedProvider, ask: Callable[..., Answered], end: str
) -> None:
    provider.scripts = [[end]]
    answer = ask(QUESTION)
    assert (answer.status, answer.error["code"]) == (502, "upstream_error")
    assert answer.headers["x-should-retry"] == "false"
    assert len(provider.requests) == 1


def test_a_connection_closed_soon_after_an_answer_is_not_retried(
    provider: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    provider.scripts = [whole(200, COMPLETION), [CLOSE]]
    assert [ask(QUESTION).status, ask(QUESTION).status] == [200, 502]
    assert len(provider.requests) == 2


def test_a_possibly_stale_connection_is_replaced_and_nothing_is_sent_twice(
    environment: pytest.MonkeyPatch, provider: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    environment.setenv("UPSTREAM_KEEP_SECONDS", "1")
    provider.scripts = [whole(200, COMPLETION)]
    ask(QUESTION)
    time.sleep(1.1)
    assert ask(QUESTION).status == 200
    assert (provider.connections, len(provider.requests)) == (2, 2)


@pytest.mark.parametrize(
    "answer_begun", [[], [b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 150], [b"HTTP/1.1 2"], [0.3]]
)
def test_a_request_on_a_reused_connection_is_sent_once(
    environment: pytest.MonkeyPatch,
    provider: ScriptedProvider,
    ask: Callable[..., Answered],
    answer_begun: list[Any],
) -> None:
    environment.setenv("UPSTREAM_KEEP_SECONDS", "60")
    provider.scripts = [whole(200, COMPLETION), [*answer_begun, CLOSE]]
    ask(QUESTION)
    time.sleep(0.2)
    assert ask(QUESTION).status == 502
    assert len(provider.requests) == 2


def test_a_connection_that_the_provider_closed_while_idle_is_replaced_unnoticed(
    provider: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    provider.scripts = [whole(200, COMPLETION)]
    ask(QUESTION)
    provider.drop_connections()
    time.sleep(0.05)
    assert ask(QUESTION).status == 200
    assert len(provider.requests) == 2


def test_connections_are_kept_between_calls_streams_included(
    provider: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    provider.scripts = [whole(200, COMPLETION), stream(delta("a", "stop"), DONE), whole(400, {})]
    ask(QUESTION)
    ask(STREAMED_QUESTION)
    ask(QUESTION)
    assert (provider.connections, len(provider.requests)) == (1, 3)


def test_a_refused_connection_is_a_502_that_says_what_to_look_at(
    environment: pytest.MonkeyPatch, provider: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    environment.setenv("UPSTREAM_BASE_URL", "http://127.0.0.1:1/v1")
    answer = ask(QUESTION)
    assert (answer.status, answer.error["code"]) == (502, "upstream_unreachable")
    assert "base URL" in answer.error["message"]
    assert answer.headers["x-relay-attempts"] == "3"


def test_a_silent_provider_is_a_504_within_the_function_s_time(
    warm: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    warm.scripts = [[30.0]]
    with Stopwatch() as took:
        answer = ask(QUESTION, seconds=3)
    assert (answer.status, answer.error["code"]) == (504, "upstream_timeout")
    assert answer.headers["x-should-retry"] == "false"
    assert took.seconds < 3
    assert len(warm.requests) == 1


def test_a_slowly_sent_body_is_a_504_within_the_function_s_time(
    warm: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    (text,) = whole(200, COMPLETION)
    drip = [step for byte in text[-200:] for step in (bytes([byte]), 0.1)]
    warm.scripts = [[text[:-200], *drip]]
    with Stopwatch() as took:
        assert ask(QUESTION, seconds=3).status == 504
    assert took.seconds < 3


@pytest.mark.parametrize("location", ["/elsewhere", "http://[x"])
def test_a_redirect_is_not_followed(
    provider: ScriptedProvider, ask: Callable[..., Answered], location: str
) -> None:
    provider.scripts = [whole(302, b"", location=location)]
    answer = ask(QUESTION)
    assert (answer.status, answer.error["code"]) == (502, "upstream_error")
    assert len(provider.requests) == 1


@pytest.mark.parametrize("body", [b"{", b"[]", b"", b"\xff\xfe", b'{"choices":NaN}'])
def test_an_answer_that_is_not_a_json_object_is_a_502(
    provider: ScriptedProvider, ask: Callable[..., Answered], body: bytes
) -> None:
    provider.scripts = [whole(200, body)]
    answer = ask(QUESTION)
    assert (answer.status, answer.error["code"]) == (502, "upstream_error")
    assert answer.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("end", [[CLOSE], [RESET], [30.0]])
def test_a_refusal_with_an_interrupted_or_stalled_body_is_still_a_refusal(
    provider: ScriptedProvider, ask: Callable[..., Answered], end: list[Any]
) -> None:
    (text,) = whole(429, REFUSED)
    provider.scripts = [[text[:-10], *end], whole(200, COMPLETION)]
    answer = ask(QUESTION)
    assert (answer.status, answer.headers["x-relay-attempts"]) == (200, "2")


@pytest.mark.parametrize(
    "usage", [{"prompt_tokens": 10**400}, {"prompt_tokens": 1e400}, {"prompt_tokens": [1]}]
)
def test_invalid_usage_does_not_fail_the_answer(
    provider: ScriptedProvider, ask: Callable[..., Answered], usage: Any
) -> None:
    text = json.dumps(COMPLETION | {"usage": {"prompt_tokens": 0}}).replace(
        '{"prompt_tokens": 0}', json.dumps(usage).replace("Infinity", "1e400")
    )
    provider.scripts = [whole(200, text.encode())]
    assert ask(QUESTION).status == 200


def test_cookies_are_not_shared_between_calls(
    provider: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    provider.scripts = [whole(200, COMPLETION, set_cookie="session=1; path=/")]
    ask(QUESTION)
    ask(QUESTION)
    assert "cookie" not in provider.requests[1].headers


def test_without_time_left_nothing_is_sent(
    provider: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    assert ask(QUESTION, seconds=1).status == 504
    assert provider.requests == []


def test_a_truncated_answer_is_a_502(
    provider: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    (text,) = whole(200, COMPLETION)
    provider.scripts = [[text[:-10], CLOSE]]
    assert ask(QUESTION).status == 502


def test_an_error_with_status_200_is_an_error(
    provider: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    error = {"message": "slow down", "type": "rate_limit_error", "param": None, "code": None}
    provider.scripts = [whole(200, {"error": error, "data": None})]
    answer = ask(QUESTION)
    assert answer.status == 429
    assert answer.error == error | {"message": with_hint(429, "slow down")}


def test_a_buffered_answer_to_a_streamed_request_passes_unchanged(
    provider: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    provider.scripts = [whole(200, COMPLETION)]
    answer = ask(STREAMED_QUESTION)
    assert answer.json() == COMPLETION
    assert answer.headers["content-type"] == "application/json"


def test_the_headers_report_attempts_overhead_and_request_ids(
    provider: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    provider.scripts = [[0.2, *whole(200, COMPLETION, x_request_id="req_up")]]
    headers = ask(QUESTION).headers
    assert headers["x-request-id"] == "request-1"
    assert headers["x-upstream-request-id"] == "req_up"
    assert headers["x-relay-attempts"] == "1"
    assert 0 < float(headers["x-relay-overhead-ms"]) < 5000


def bad(**fields: Any) -> dict[str, Any]:
    return QUESTION | fields


@pytest.mark.parametrize(
    ("payload", "param"),
    [
        ("{", None),
        ("", None),
        ("[]", None),
        ('"text"', None),
        ("[" * 100_000, None),
        ('{"model": NaN}', None),
        ('{"model": "\ud800"}', None),
        ({"messages": QUESTION["messages"]}, "model"),
        (bad(model=""), "model"),
        (bad(model=7), "model"),
        ({"model": "m"}, "messages"),
        (bad(messages="Hello"), "messages"),
        (bad(messages=[]), "messages"),
        (bad(messages=[*QUESTION["messages"], "Hello"]), "messages[1]"),
        (bad(messages=[{"content": "Hello"}]), "messages[0].role"),
        (bad(messages=[{"role": "user"}]), "messages[0].content"),
        (bad(messages=[{"role": "user", "content": 5}]), "messages[0].content"),
        (bad(stream="yes"), "stream"),
        (bad(temperature=2.1), "temperature"),
        (bad(temperature="0"), "temperature"),
        (bad(temperature=True), "temperature"),
        (bad(top_p=-0.1), "top_p"),
        (bad(max_tokens=0), "max_tokens"),
        (bad(max_completion_tokens=1.5), "max_completion_tokens"),
        (bad(n=0), "n"),
        (bad(tools={}), "tools"),
        (bad(tools=["x"]), "tools[0]"),
    ],
)
def test_a_bad_body_is_refused_without_a_call_and_names_its_field(
    provider: ScriptedProvider, ask: Callable[..., Answered], payload: Any, param: str | None
) -> None:
    answer = ask(payload)
    assert answer.status == 400
    assert answer.error["type"] == "invalid_request_error"
    assert answer.error["param"] == param
    assert provider.requests == []


def test_a_base64_body_is_decoded(provider: ScriptedProvider, ask: Callable[..., Answered]) -> None:
    provider.scripts = [whole(200, COMPLETION)]
    import base64  # noqa: PLC0415

    text = base64.b64encode(json.dumps(QUESTION).encode()).decode()
    assert ask(text, isBase64Encoded=True).status == 200
    assert json.loads(provider.requests[0].body) == QUESTION
    assert ask("%%%", isBase64Encoded=True).status == 400


def test_an_assistant_message_may_have_only_tool_calls(
    provider: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    provider.scripts = [whole(200, COMPLETION)]
    turn: dict[str, Any] = {"role": "assistant", "content": None, "tool_calls": []}
    assert ask(bad(messages=[*QUESTION["messages"], turn])).status == 200


def test_a_stalled_buffered_answer_is_given_up_although_there_is_time_left(
    environment: pytest.MonkeyPatch, provider: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    environment.setenv("UPSTREAM_IDLE_SECONDS", "0.5")
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{"
    provider.scripts = [[head, 30.0]]
    started = time.monotonic()
    answer = ask(QUESTION, seconds=60)
    assert (answer.status, answer.error["code"]) == (504, "upstream_timeout")
    assert time.monotonic() - started < 20
