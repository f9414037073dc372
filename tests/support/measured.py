"""What CloudWatch would make of the lines that functions print."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from tests.template.operations.watched import Metric

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Line = dict[str, Any]
Points = dict[Metric, list[tuple[float, float]]]


def lines_in(printed: str) -> list[Line]:
    """The lines that a function has printed, each of them JSON."""
    return [json.loads(line) for line in printed.splitlines()]


def points_in(lines: Iterable[Line]) -> Points:
    """Every value of every metric, at its second; each set of dimensions is a metric."""
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


def units_in(lines: Iterable[Line]) -> dict[str, str]:
    """The unit of each metric."""
    told = (line["_aws"]["CloudWatchMetrics"] for line in lines if "_aws" in line)
    return {m["Name"]: m["Unit"] for each in told for one in each for m in one["Metrics"]}


def going_on(
    points: Mapping[Metric, list[tuple[float, float]]], seconds: int, times: int
) -> Points:
    """The same again and again, so many seconds apart, up to now."""
    return {
        metric: [(at - seconds * back, value) for back in range(times) for at, value in told]
        for metric, told in points.items()
    }
