"""One line per request, log and metrics at once."""

from __future__ import annotations

import json
import logging
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from aws_lambda_powertools import Logger, Metrics

from llm_relay.observability.metrics import METRIC_UNITS, emit_metrics
from tests.support.payloads import COMPLETION, DONE, QUESTION, STREAMED_QUESTION, delta
from tests.support.scripted_provider import RESET, stream, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.functions.conftest import Answered
    from tests.support.scripted_provider import Script, ScriptedProvider

    Ask = Callable[..., Answered]

FAULTS = ("ClientErrors", "RelayErrors", "ProviderErrors")
NO = {"error": {"message": "no", "type": "t", "code": "internal_error"}}
FINAL = {"x_should_retry": "false"}


def logged(capfd: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The line of the one request there was."""
    (line,) = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    line.pop("ColdStart", None)  # whichever test comes first
    return dict(line)


@pytest.fixture
def logged_call(
    provider: ScriptedProvider, ask: Ask, capfd: pytest.CaptureFixture[str]
) -> Callable[..., dict[str, Any]]:
    """Asks a question of a provider that plays a script; returns the line."""

    def logged_call(question: dict[str, Any], script: Script) -> dict[str, Any]:
        provider.scripts = [script]
        ask(question)
        return logged(capfd)

    return logged_call


def test_a_call_is_reported_in_one_line(
    provider: ScriptedProvider, ask: Ask, capfd: pytest.CaptureFixture[str]
) -> None:
    provider.scripts = [whole(500, {}), whole(200, COMPLETION, x_request_id="req_up")]
    ask(QUESTION)
    line = logged(capfd)
    expected = {
        "message": "request",
        "route": "POST /v1/chat/completions",
        "request_id": "request-1",
        "provider_request_id": "req_up",
        "client": "client-1",
        "model": "abliterated-model",
        "stream": False,
        "status": 200,
        "attempts": 2,
        "tokens_in": 18,
        "tokens_out": 12,
        "cost_usd": 0.00015,
    }
    assert {name: line[name] for name in expected} == expected
    assert 0 <= line["overhead_ms"] <= line["first_byte_ms"] <= line["total_ms"]
    assert 0 <= line["upstream_ms"] <= line["total_ms"]


def test_a_call_is_measured_for_the_stack_for_its_route_and_for_its_model(
    provider: ScriptedProvider, ask: Ask, capfd: pytest.CaptureFixture[str]
) -> None:
    limited = whole(429, {})
    provider.scripts = [limited, limited, whole(200, COMPLETION)]
    ask(QUESTION)
    line = logged(capfd)
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "LlmRelay"
    assert directive["Dimensions"] == [["service"], ["service", "route"], ["service", "model"]]
    assert (line["Requests"], line["Attempts"], line["RateLimited"]) == ([1], [3], [2])
    assert (line["TokensIn"], line["TokensOut"], line["CostUsd"]) == ([18], [12], [0.00015])
    assert 0 < line["UpstreamTime"][0] <= line["TotalTime"][0]
    assert 0 <= line["OverheadTime"][0] <= line["TimeToFirstByte"][0]
    assert not {"Failures", *FAULTS} & set(line)


def test_an_invented_model_name_creates_no_metric(
    provider: ScriptedProvider, ask: Ask, capfd: pytest.CaptureFixture[str]
) -> None:
    provider.scripts = [whole(400, {"error": {"message": "no", "code": "model_not_found"}})]
    ask(QUESTION | {"model": "invented"})
    line = logged(capfd)
    assert line["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["service"], ["service", "route"]]
    assert "invented" not in json.dumps(line)
    assert line["code"] == "model_not_found"


@pytest.mark.parametrize(
    ("question", "script", "fault"),
    [
        (QUESTION, whole(400, NO), "ClientErrors"),
        (QUESTION, whole(403, NO), "ClientErrors"),
        ({"model": "m"}, whole(200, COMPLETION), "ClientErrors"),
        (QUESTION, whole(401, NO), "RelayErrors"),
        (QUESTION, whole(402, NO), "ProviderErrors"),
        (QUESTION, whole(429, NO, **FINAL), "ProviderErrors"),
        (QUESTION, whole(500, NO, **FINAL), "ProviderErrors"),  # whatever it calls its error
        (QUESTION, [RESET], "ProviderErrors"),
        (STREAMED_QUESTION, stream(delta("a")), "ProviderErrors"),
    ],
)
def test_a_failure_is_counted_by_who_caused_it(
    logged_call: Callable[..., dict[str, Any]], question: dict[str, Any], script: Script, fault: str
) -> None:
    line = logged_call(question, script)
    assert line["Failures"] == [1]
    assert [name for name in FAULTS if name in line] == [fault]
    assert line.get("ProviderKeyRejected") == ([1] if fault == "RelayErrors" else None)


def test_a_stream_that_breaks_off_counts_as_a_failure_although_its_status_was_200(
    provider: ScriptedProvider, ask: Ask, capfd: pytest.CaptureFixture[str]
) -> None:
    provider.scripts = [stream(delta("a"))]
    ask(STREAMED_QUESTION)
    line = logged(capfd)
    assert (line["status"], line["code"], line["stream"]) == (200, "upstream_error", True)


def test_a_caller_who_leaves_a_stream_is_not_a_fault(
    provider: ScriptedProvider, ask: Ask, capfd: pytest.CaptureFixture[str]
) -> None:
    def leave() -> None:
        raise ConnectionError

    provider.scripts = [stream(delta("a"), delta("b"), delta("", "stop"), DONE)]
    with pytest.raises(ConnectionError):
        ask(STREAMED_QUESTION, at_first=leave)
    line = logged(capfd)
    assert (line["code"], line["Failures"]) == ("caller_left", [1])
    assert not set(FAULTS) & set(line)


def test_calls_that_never_reached_the_provider_have_no_provider_latency(
    ask: Ask, capfd: pytest.CaptureFixture[str]
) -> None:
    ask("{")
    asked = {"Attempts", "UpstreamTime", "TimeToFirstByte", "OverheadTime"}
    assert not asked & set(logged(capfd))


def test_the_line_is_what_powertools_metrics_would_have_written(
    environment: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    figures = {"Requests": 1, "CostUsd": 0.25, "TotalTime": 7.5, "RowsPerSecond": 3}
    emit_metrics("m", {"fact": "f"}, {**figures, "Attempts": None}, {"route": "r", "model": "m"})
    ours = logged(capfd)
    metrics = Metrics()
    for keys in ({}, {"route": "r"}, {"model": "m"}):
        metrics.add_dimensions(service="llm-relay", **keys)
    for key, fact in {"level": "INFO", "message": "m", "fact": "f"}.items():
        metrics.add_metadata(key, fact)
    for name, value in figures.items():
        metrics.add_metric(name, METRIC_UNITS[name], value)
    metrics.flush_metrics()
    theirs = logged(capfd)
    for line in (ours, theirs):
        line["_aws"].pop("Timestamp")
        (directive,) = line["_aws"]["CloudWatchMetrics"]
        directive["Metrics"] = [m for m in directive["Metrics"] if m["Name"] != "ColdStart"]
        # Powertools' own set, to which every other is added, comes twice.
        directive["Dimensions"] = sorted(set(map(tuple, directive["Dimensions"])))
    assert ours == theirs


def test_the_line_says_where_it_comes_from_as_powertools_logger_does(
    environment: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    environment.setenv("_X_AMZN_TRACE_ID", "Root=1-2-3;Parent=4;Sampled=1")
    emit_metrics("m", {}, {"Requests": 1}, {})
    ours = logged(capfd)
    Logger().info("m")
    theirs = logged(capfd)
    shared = ("level", "message", "service", "xray_trace_id")
    assert {name: ours[name] for name in shared} == {name: theirs[name] for name in shared}


def test_a_log_level_that_silences_the_rest_leaves_the_metrics(
    environment: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    logger = logging.getLogger("llm-relay")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        emit_metrics("m", {}, {"Requests": 1}, {})
    finally:
        logger.setLevel(level)
    assert logged(capfd)["Requests"] == [1]


@pytest.fixture
def fast_thread_switching() -> Iterator[None]:
    """Threads that take turns as often as they can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def test_lines_of_many_threads_are_not_interleaved(
    environment: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], fast_thread_switching: None
) -> None:
    def tell(number: int) -> None:
        for _ in range(300):
            emit_metrics("m", {}, {"Requests": number}, {"route": str(number)})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(tell, range(8)))
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert len(lines) == 2400
    assert [line for line in lines if line["route"] != str(int(line["Requests"][0]))] == []
