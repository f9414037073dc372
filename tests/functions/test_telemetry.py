"""One log line and one set of metrics per request."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.functions.payloads import COMPLETION, QUESTION, STREAMED_QUESTION, delta
from tests.scripted_provider import stream, whole

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from tests.functions.conftest import Answered
    from tests.scripted_provider import ScriptedProvider


def told(capfd: pytest.CaptureFixture[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The log line and the metrics of the one request there was."""
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    (metrics,) = [line for line in lines if "_aws" in line]
    (log,) = [line for line in lines if "_aws" not in line]
    return log, metrics


def test_a_call_is_told_in_one_line(
    provider: ScriptedProvider, ask: Callable[..., Answered], capfd: pytest.CaptureFixture[str]
) -> None:
    provider.scripts = [whole(500, {}), whole(200, COMPLETION, x_request_id="req_up")]
    ask(QUESTION)
    log, _ = told(capfd)
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
    assert {name: log[name] for name in expected} == expected
    assert 0 <= log["upstream_ms"] <= log["total_ms"]


def test_a_call_is_measured_by_route_and_model(
    provider: ScriptedProvider, ask: Callable[..., Answered], capfd: pytest.CaptureFixture[str]
) -> None:
    limited = whole(429, {})
    provider.scripts = [limited, limited, whole(200, COMPLETION)]
    ask(QUESTION)
    _, metrics = told(capfd)
    (directive,) = metrics["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "LlmRelay"
    assert set(directive["Dimensions"][0]) == {"service", "route", "model"}
    assert metrics["Attempts"] == [3]
    assert metrics["Status2xx"] == [1]
    assert metrics["status"] == 200
    assert (metrics["TokensIn"], metrics["TokensOut"]) == ([18], [12])
    assert metrics["CostUsd"] == [0.00015]
    assert metrics["TimeToFirstByte"][0] > 0
    assert metrics["UpstreamTime"][0] > 0
    assert "Failures" not in metrics


def test_a_model_name_of_the_caller_s_invention_makes_no_metric_of_its_own(
    provider: ScriptedProvider, ask: Callable[..., Answered], capfd: pytest.CaptureFixture[str]
) -> None:
    provider.scripts = [whole(400, {"error": {"message": "no", "code": "model_not_found"}})]
    ask(QUESTION | {"model": "invented"})
    log, metrics = told(capfd)
    assert metrics["model"] == "none"
    assert (metrics["Status4xx"], metrics["Failures"]) == ([1], [1])
    assert log["code"] == "model_not_found"


def test_a_stream_that_breaks_off_counts_as_a_failure_although_its_status_was_200(
    provider: ScriptedProvider, ask: Callable[..., Answered], capfd: pytest.CaptureFixture[str]
) -> None:
    provider.scripts = [stream(delta("a"))]
    ask(STREAMED_QUESTION)
    log, metrics = told(capfd)
    assert (log["status"], log["code"], log["stream"]) == (200, "upstream_error", True)
    assert metrics["Failures"] == [1]
