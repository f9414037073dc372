"""Metrics of the template's dashboard, alarms and saved queries, resolved as on a laptop."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from local.cloudformation.template import Template
from local.cloudformation.translation import load
from tests.template.stack import ROOT

Json = dict[str, Any]
WITH_ALARMS = {"AlarmEmail": "operator@example.com", "AlarmCostPerHourUsd": "5"}
_SEARCH = re.compile(r"""SEARCH\('\{(\w+),([\w,]+)\} service="([^"]+)" MetricName="(\w+)"'""")


@dataclass(frozen=True, slots=True)
class Metric:
    """One series of values in CloudWatch."""

    namespace: str
    name: str
    dimensions: frozenset[tuple[str, str]]

    @property
    def keys(self) -> frozenset[str]:
        """The names of its dimensions."""
        return frozenset(name for name, _ in self.dimensions)


@lru_cache(maxsize=1)
def _translated() -> Template:
    return load(ROOT / "template.yaml")


def template(**parameters: str) -> Template:
    """Return the template with some parameters; without any, with all that can be watched."""
    read = _translated()
    given = {**read.parameters, **(parameters or WITH_ALARMS)}
    return replace(read, parameters=given, physical_ids={})


def alarms(**parameters: str) -> dict[str, Json]:
    """Properties of every alarm, by logical id."""
    read = template(**(WITH_ALARMS | parameters))
    return {name: read.properties(name) for name in read.ids("AWS::CloudWatch::Alarm")}


def alarm_metrics(alarm: Json) -> dict[str, tuple[Metric, Json]]:
    """The metrics of an alarm with their period and statistic, by id; "" is that of a plain one."""
    if "Metrics" not in alarm:
        return {"": (_metric(alarm), {"Period": alarm["Period"], "Stat": alarm["Statistic"]})}
    return {
        query["Id"]: (_metric(query["MetricStat"]["Metric"]), query["MetricStat"])
        for query in alarm["Metrics"]
        if "MetricStat" in query
    }


def widgets() -> list[Json]:
    """What the dashboard shows, from left to right and top to bottom."""
    read = template()
    (dashboard,) = read.ids("AWS::CloudWatch::Dashboard")
    shown: list[Json] = json.loads(read.properties(dashboard)["DashboardBody"])["widgets"]
    return shown


def dashboard_rows() -> Iterator[list[Any]]:
    """Every line of every graph, as it is written."""
    for widget in widgets():
        yield from widget["properties"].get("metrics", [])


def dashboard_metrics() -> set[Metric]:
    """The metrics that the dashboard names."""
    named = [row for row in dashboard_rows() if isinstance(row[0], str)]
    texts = [[part for part in row if isinstance(part, str)] for row in named]
    return {
        Metric(namespace, name, frozenset(zip(rest[::2], rest[1::2], strict=True)))
        for namespace, name, *rest in texts
    }


def dashboard_searches() -> set[tuple[str, str, frozenset[str]]]:
    """The namespace, name and dimensions of the metrics that the dashboard searches for."""
    written = [row[0]["expression"] for row in dashboard_rows() if isinstance(row[0], dict)]
    searches = [text for text in written if "SEARCH" in text]
    found = [match for text in searches for match in _SEARCH.findall(text)]
    assert len(found) == len(searches)
    assert {service for _, _, service, _ in found} == {"llm-relay"}
    return {(space, name, frozenset(keys.split(","))) for space, keys, _, name in found}


def queries() -> dict[str, str]:
    """Every query to Logs Insights, by its name or its widget's title, sources left out."""
    read = template()
    saved = [read.properties(name) for name in read.ids("AWS::Logs::QueryDefinition")]
    shown = [widget["properties"] for widget in widgets() if widget["type"] == "log"]
    return {each["Name"]: each["QueryString"] for each in saved} | {
        f"dashboard/{each['title']}": re.sub(r"SOURCE '[^']+' \| ", "", each["query"])
        for each in shown
    }


def _metric(listed: Json) -> Metric:
    dimensions = frozenset((each["Name"], each["Value"]) for each in listed["Dimensions"])
    return Metric(listed["Namespace"], listed["MetricName"], dimensions)
