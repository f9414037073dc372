"""The metrics of a run: read from what functions print, kept in bounded memory, shown on a page."""

import json
import random
import re
import statistics
from pathlib import Path
from typing import Any

import pytest
from aws_lambda_powertools import Metrics

from local.metrics_page.emf import Log, Measurement
from local.metrics_page.figures import (
    KEPT_STEPS,
    MAX_SERIES,
    STEP_SECONDS,
    Distribution,
    Figures,
    merged,
)
from local.metrics_page.view import PAGE, PATH
from tests.local.small_stack import client, in_loop, small_stack

NOW = 1_800_000_000.0


@pytest.fixture
def emf(capsys: pytest.CaptureFixture[str]) -> str:
    """A line as Powertools prints it, with two values of one metric."""
    metrics = Metrics(namespace="Test", service="relay")
    metrics.add_dimension("route", "POST /v1/chat/completions")
    for name, unit, value in (("Requests", "Count", 1), ("Time", "Milliseconds", 5)):
        metrics.add_metric(name=name, unit=unit, value=value)
    metrics.add_metric(name="Time", unit="Milliseconds", value=7)
    metrics.flush_metrics()
    return capsys.readouterr().out.strip()


def taken(log: Log) -> list[tuple[str, tuple[float, ...]]]:
    return [(each.name, each.values) for each in log.read_new()]


def measured(name: str = "Time", *values: float, at: float = NOW, **dimensions: str) -> Measurement:
    return Measurement(
        seconds=at, name=name, unit="Milliseconds", dimensions=dimensions, values=values
    )


def test_powertools_metrics_are_read_with_unit_dimensions_and_time(
    tmp_path: Path, emf: str
) -> None:
    log = tmp_path / "log"
    log.write_text(f'START\n{{"level": "INFO"}}\n{emf}\n')
    requests, times = Log(log).read_new()
    assert (requests.name, requests.values) == ("Requests", (1.0,))
    assert (times.name, times.unit, times.values) == ("Time", "Milliseconds", (5.0, 7.0))
    assert times.dimensions == {"route": "POST /v1/chat/completions", "service": "relay"}
    assert times.seconds == json.loads(emf)["_aws"]["Timestamp"] / 1000


def test_each_line_is_reported_once_and_only_when_complete(tmp_path: Path, emf: str) -> None:
    path = tmp_path / "log"
    path.write_text(f"{emf}\n{emf[:50]}")
    log = Log(path)
    assert len(taken(log)) == 2
    assert taken(log) == []
    with path.open("a") as end:
        end.write(f"{emf[50:]}\n")
    assert len(taken(log)) == 2


def test_lines_of_concurrent_processes_are_all_read(tmp_path: Path, emf: str) -> None:
    path = tmp_path / "log"
    path.write_text(f'{emf}{{"level": "INFO"}}{emf}\n\n\n')
    assert len(taken(Log(path))) == 4


@pytest.mark.parametrize(
    "line",
    [
        '{"_aws": 1}',
        '{"_aws": {"CloudWatchMetrics": [{}]}}',
        '{"_aws": {"CloudWatchMetrics": [{"Dimensions": [], "Metrics": [{"Name": "Gone"}]}]}}',
        'cut off {"_aws": {"Clo',
        '["_aws"]',
    ],
)
def test_lines_in_another_format_are_ignored(tmp_path: Path, emf: str, line: str) -> None:
    path = tmp_path / "log"
    path.write_text(f"{line}\n{emf}\n")
    assert len(taken(Log(path))) == 2


def test_a_value_counts_once_however_many_sets_of_dimensions_it_has(
    tmp_path: Path, emf: str
) -> None:
    document = json.loads(emf)
    document["_aws"]["CloudWatchMetrics"][0]["Dimensions"] = [["route", "service"], ["service"]]
    path = tmp_path / "log"
    path.write_text(json.dumps(document) + "\n")
    figures = Figures(lambda: NOW)
    figures.add(Log(path).read_new())
    assert figures.summary({})["metrics"]["Requests"]["whole"]["sum"] == 1


def test_percentiles_are_right_to_two_percent() -> None:
    values = [random.Random(7).lognormvariate(3, 2) for _ in range(5000)]  # noqa: S311
    halves = Distribution(), Distribution()
    for number, value in enumerate(values):
        halves[number % 2].add(value)
    whole = merged(halves)
    exact = statistics.quantiles(values, n=100)
    for percent in (50, 95, 99):
        assert whole.percentile(percent) == pytest.approx(exact[percent - 1], rel=0.025)
    assert whole.percentile(100) == max(values)


def test_zero_is_counted() -> None:
    none = Distribution()
    for _ in range(3):
        none.add(0)
    assert none.summary() == {
        "count": 3, "sum": 0, "least": 0, "most": 0, "p50": 0, "p95": 0, "p99": 0
    }  # fmt: skip


def test_series_are_added_up_split_and_chosen_by_dimension() -> None:
    figures = Figures(lambda: NOW)
    figures.add([measured("Time", 1, 2, route="a", model="m"), measured("Time", 4, route="b")])
    said = figures.summary({})
    assert said["routes"] == ["a", "b"]
    time = said["metrics"]["Time"]
    assert (time["unit"], time["whole"]["sum"]) == ("Milliseconds", 7)
    assert {route: part["sum"] for route, part in time["by"]["route"].items()} == {"a": 3, "b": 4}
    assert {model: part["sum"] for model, part in time["by"]["model"].items()} == {"m": 3}
    assert figures.summary({"route": "b"})["metrics"]["Time"]["whole"]["sum"] == 4
    assert figures.summary({"route": "nowhere"})["metrics"] == {}


def test_steps_older_than_an_hour_are_dropped_and_totals_are_kept() -> None:
    now = [NOW]
    figures = Figures(lambda: now[0])
    figures.add([measured("Time", 1, at=NOW)])
    now[0] += (KEPT_STEPS + 1) * STEP_SECONDS
    figures.add([measured("Time", 2, at=now[0])])
    time = figures.summary({})["metrics"]["Time"]
    assert [step["sum"] for step in time["steps"]] == [2]
    assert time["whole"]["sum"] == 3


def test_dimensions_above_the_maximum_are_counted_together() -> None:
    figures = Figures(lambda: NOW)
    figures.add(measured("Time", 1, model=str(number)) for number in range(2 * MAX_SERIES))
    time = figures.summary({})["metrics"]["Time"]
    assert time["whole"]["count"] == 2 * MAX_SERIES
    assert len(time["by"]["model"]) == MAX_SERIES


async def fetched(session: Any, path: str) -> tuple[int, dict[str, str], str]:
    async with session.get(path) as response:
        return response.status, dict(response.headers), await response.text()


@in_loop
async def test_the_page_is_served_without_a_key_and_loads_nothing_from_elsewhere(
    tmp_path: Path,
) -> None:
    async with small_stack(tmp_path) as stack, client(stack) as session:
        del session.headers["Authorization"]
        status, headers, page = await fetched(session, PATH)
        assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        assert headers["Content-Security-Policy"].startswith(
            "default-src 'none'; script-src 'self'"
        )
        named = set(re.findall(r'(?:src|href)="(/[^"]*)"', page))
        assert {f"{PATH}/look.css", f"{PATH}/live.js", f"{PATH}.json"} <= named
        for path in named:
            assert (await fetched(session, path))[0] == 200, path
        assert (await fetched(session, f"{PATH}/..%2Fview.py"))[0] == 404
        assert json.loads((await fetched(session, f"{PATH}.json"))[2])["metrics"] == {}
    assert not [
        name for name in PAGE.iterdir() if re.search(r"https?://(?!www\.w3\.org)", name.read_text())
    ]


@in_loop
async def test_the_page_s_metrics_are_those_that_functions_print(tmp_path: Path, emf: str) -> None:
    async with small_stack(tmp_path) as stack, client(stack) as session:
        with stack.settings.log.open("a") as log:
            log.write(f"{emf}\n")
        for _ in range(2):  # asking does not count again
            said = json.loads((await fetched(session, f"{PATH}.json"))[2])
            assert said["metrics"]["Requests"]["whole"]["sum"] == 1
