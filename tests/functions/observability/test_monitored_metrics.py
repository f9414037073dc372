"""Dashboard, alarms and queries use exactly the metrics and fields that handlers print."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from llm_relay.api import relay
from llm_relay.aws.dynamodb import dynamodb
from llm_relay.billing.ledger import ledger
from llm_relay.observability.metrics import METRIC_UNITS
from tests.functions.conftest import proxy_event
from tests.support.chunk_runs import worker_setup
from tests.support.ledger_accounts import CLIENT, make_table
from tests.support.metrics import Line, log_lines, metric_points, metric_units
from tests.support.payloads import COMPLETION, INPUT, QUESTION, RESPONSE
from tests.support.priced_provider import LISTED, MODEL
from tests.support.scripted_provider import RESET, whole
from tests.template.operations.monitored import (
    alarm_metrics,
    alarms,
    dashboard_metrics,
    dashboard_searches,
    queries,
)
from tests.template.stack import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.functions.conftest import Answered
    from tests.support.chunk_runs import WorkerSetup
    from tests.support.scripted_provider import Script, ScriptedProvider

__all__ = ["worker_setup"]

NO = {"error": {"message": "no", "code": "no"}}
LISTING = {"object": "list", "data": [LISTED]}
# A new environment, which is asked twice; it need not call anybody to refuse that.
IN_A_NEW_PROCESS = """
import json, sys
from functions.chat_completions.handler import handler
class Context:
    get_remaining_time_in_millis = staticmethod(lambda: 60_000)
for _ in range(2):
    handler(json.loads(sys.argv[1]), Context)
"""
# What is CloudWatch's own: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax.html
_WORDS = "and as asc avg by count desc fields filter ispresent latest limit max or sort stats sum"
WORDS = {*_WORDS.split()}
_PRINTED: list[Line] = []


class Tour:
    """Has the functions do whatever there is to measure."""

    def __init__(
        self, worker_setup: WorkerSetup, provider: ScriptedProvider, ask: Callable[..., Answered]
    ) -> None:
        self._worker = worker_setup
        self._provider = provider
        self._ask = ask

    def whole(self) -> None:
        """Go everywhere."""
        answered = whole(200, COMPLETION, x_request_id="req_up")
        for script in (answered, whole(400, NO), whole(429, NO), [RESET]):
            self._call([script], QUESTION)
        for script in (whole(200, RESPONSE), whole(429, NO)):
            self._call([script], INPUT, "responses")
        self._call([whole(401, NO)], QUESTION)
        self._on_a_budget()
        self._a_batch()

    def _call(self, scripts: list[Script], *question: Any, **more: Any) -> None:
        relay.provider_router.cache_clear()  # with its memory of rejected keys
        self._provider.scripts = scripts
        self._provider.requests.clear()
        self._ask(*question, **more)

    def _on_a_budget(self) -> None:
        self._worker.world.environment.setenv("CLIENTS_TABLE", make_table(dynamodb()))
        ledger.cache_clear()
        for nanos in (10**12, 1):
            limits = {"principalId": "p", "client": CLIENT, "budget_nanos": str(nanos)}
            context = {"requestId": "r", "identity": {}, "authorizer": limits}
            relay.provider_router.cache_clear()
            scripts = [whole(200, LISTING), whole(200, COMPLETION)]
            question = QUESTION | {"model": MODEL, "max_tokens": 9}
            self._call(scripts, question, requestContext=context)
        ledger.cache_clear()

    def _a_batch(self) -> None:
        environment = self._worker.world.environment
        environment.setenv("UPSTREAM_BASE_URL", self._worker.provider.base_url)
        relay.provider_router.cache_clear()
        assert self._worker.rows_with("200", "400", "429:30").run()["left"] == 1


@pytest.fixture
def printed(request: pytest.FixtureRequest) -> list[Line]:
    """All that there is to print, printed once for all tests here."""
    if not _PRINTED:
        tools = [
            request.getfixturevalue(name) for name in ("worker_setup", "provider", "ask", "capfd")
        ]
        Tour(*tools[:3]).whole()
        _PRINTED.extend([*log_lines(tools[3].readouterr().out), *of_a_new_process()])
    return _PRINTED


def of_a_new_process() -> list[Line]:
    event = json.dumps(proxy_event("POST", "/v1/chat/completions", "{"))
    path = f"import sys; sys.path[:0] = ['.', 'layers/llm_relay']{IN_A_NEW_PROCESS}"
    command = [sys.executable, "-c", path, event]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603
    return log_lines(done.stdout)


def test_a_cold_start_is_counted_once_in_each_environment(environment: pytest.MonkeyPatch) -> None:
    assert [line.get("ColdStart") for line in of_a_new_process()] == [[1], None]


def test_every_monitored_metric_is_emitted(printed: list[Line]) -> None:
    measured = set(metric_points(printed))
    watched = {metric for alarm in alarms().values() for metric, _ in alarm_metrics(alarm).values()}
    ours = {m for m in watched | dashboard_metrics() if m.namespace == "LlmRelay"}
    assert ours - measured == set()
    assert dashboard_searches() - {(m.namespace, m.name, m.keys) for m in measured} == set()


def test_every_emitted_metric_is_documented(printed: list[Line]) -> None:
    assert metric_units(printed) == METRIC_UNITS
    assert sorted(documented()) == sorted(METRIC_UNITS)


def test_every_metric_has_the_stack_and_at_most_one_other_dimension(
    printed: list[Line],
) -> None:
    keys = {metric.keys for metric in metric_points(printed)}
    sets = [{"service"}, {"service", "route"}, {"service", "model"}]
    assert keys == {frozenset(each) for each in sets}
    services = {
        value for m in metric_points(printed) for key, value in m.dimensions if key == "service"
    }
    assert services == {"llm-relay"}


def test_fields_of_log_lines_are_documented(printed: list[Line]) -> None:
    of_all_lines = {"level", "message", "service", "timestamp", "xray_trace_id", "_aws"}
    fields = {
        field
        for line in printed
        if line.get("message") in {"request", "batch chunk"}
        for field in line
    }
    assert fields - of_all_lines - set(METRIC_UNITS) - set(first_cells("## Log fields")) == set()


def test_queries_use_fields_that_log_lines_have(printed: list[Line]) -> None:
    fields = {field for line in printed for field in line}
    missing = {name: asked_for(query) - fields for name, query in queries().items()}
    assert {name: asked for name, asked in missing.items() if asked} == {}


def asked_for(query: str) -> set[str]:
    """The fields of our lines that a query names."""
    plain = re.sub(r"""'[^']*'|"[^"]*"|\d+|@\w+""", " ", query)
    names = set(re.findall(r"\b[a-z_]\w*\b", plain, re.IGNORECASE))
    return names - WORDS - set(re.findall(r"\bas (\w+)", plain))


def documented() -> list[str]:
    """The metrics in the guide's table."""
    return first_cells("## Metrics")


def first_cells(heading: str) -> list[str]:
    """The names in the first column of the tables below a heading."""
    page = (ROOT / "docs" / "reference" / "metrics.md").read_text()
    section = page.partition(f"{heading}\n")[2].partition("\n## ")[0]
    rows = [row for row in section.splitlines() if row.startswith("| `")]
    return [name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])]


def test_a_query_for_a_missing_field_is_found() -> None:
    assert asked_for("filter a = 'b c' and @log = \"d\" | stats sum(e) as f by g | sort f") == {
        "a", "e", "g",
    }  # fmt: skip
