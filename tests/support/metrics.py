"""The metrics that CloudWatch extracts from the log lines of functions."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from tests.template.operations.monitored import Metric

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Line = dict[str, Any]
Points = dict[Metric, list[tuple[float, float]]]


def log_lines(printed: str) -> list[Line]:
    """The JSON log lines of a function."""
    return [json.loads(line) for line in printed.splitlines()]


def metric_points(lines: Iterable[Line]) -> Points:
    """The values of each metric with their times; each set of dimensions is a metric."""
    points: Points = defaultdict(list)
    for line in lines:
        at = line.get("_aws", {}).get("Timestamp", 0) / 1000
        for directive in line.get("_aws", {}).get("CloudWatchMetrics", []):
            for keys in directive["Dimensions"]:
                dimensions = frozenset((key, line[key]) for key in keys)
                for name in (metric["Name"] for metric in directive["Metrics"]):
                    metric = Metric(directive["Namespace"], name, dimensions)
                    points[metric] += [(at, float(value)) for value in line[name]]
    return points


def metric_units(lines: Iterable[Line]) -> dict[str, str]:
    """The unit of each metric."""
    directives = (line["_aws"]["CloudWatchMetrics"] for line in lines if "_aws" in line)
    return {m["Name"]: m["Unit"] for each in directives for one in each for m in one["Metrics"]}


def repeated(
    points: Mapping[Metric, list[tuple[float, float]]], seconds: int, times: int
) -> Points:
    """The points repeated so many times, `seconds` apart, up to now."""
    return {
        metric: [(at - seconds * back, value) for back in range(times) for at, value in values]
        for metric, values in points.items()
    }
