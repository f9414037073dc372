"""Whether an alarm would go off, worked out over data points as CloudWatch does.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
Series are lists of one value for each period, None where there is none. What no alarm of ours uses
is an error here, not a guess.
"""

import ast
import math
import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tests.template.operations.monitored import Metric, alarm_metrics

Points = Mapping[Metric, list[tuple[float, float]]]  # seconds since the epoch, value
Series = list[float | None]
Value = float | str | Series | list[Series]

STATISTICS: Mapping[str, Callable[[list[float]], float]] = {
    "Sum": sum,
    "Maximum": max,
    "p95": lambda values: sorted(values)[math.ceil(0.95 * len(values)) - 1],
}
OVER_ARRAYS: Mapping[str, Callable[[Iterable[float]], float]] = {"SUM": sum, "MAX": max}
OPERATORS: Mapping[type, Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.GtE: operator.ge,
}


def goes_off(alarm: Mapping[str, Any], points: Points, now: float) -> bool:
    """Tell whether an alarm is in ALARM at a moment at which a period ends."""
    assert alarm["ComparisonOperator"] == "GreaterThanThreshold"
    assert alarm["TreatMissingData"] == "notBreaching"
    periods = int(alarm["EvaluationPeriods"])
    series = {
        name: statistics(points.get(metric, []), stat["Stat"], int(stat["Period"]), periods, now)
        for name, (metric, stat) in alarm_metrics(dict(alarm)).items()
    }
    expressions = [
        query["Expression"] for query in alarm.get("Metrics", []) if "Expression" in query
    ]
    watched = Math(series).value(expressions[0]) if expressions else series[""]
    breaching = [each for each in watched if each is not None and each > float(alarm["Threshold"])]
    return len(breaching) >= int(alarm.get("DatapointsToAlarm", periods))


def statistics(
    points: list[tuple[float, float]], stat: str, period: int, periods: int, now: float
) -> Series:
    """The statistic of each of the last periods, the newest last."""
    spans = [(now - period * (left + 1), now - period * left) for left in reversed(range(periods))]
    within = [[value for at, value in points if start <= at < end] for start, end in spans]
    return [STATISTICS[stat](values) if values else None for values in within]


class Math:
    """Metric math over some series, as far as the template uses it."""

    def __init__(self, series: Mapping[str, Series]) -> None:
        self._series = series

    def value(self, expression: str) -> Series:
        """Return the one series that an expression is."""
        result = self._value(ast.parse(expression, mode="eval").body)
        assert isinstance(result, list)
        return [each for each in result if not isinstance(each, list)]

    def _value(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant(value=value):
                return value
            case ast.Name(id=name):
                return self._series[name]
            case ast.BinOp(left=left, op=op, right=right):
                return pairwise(OPERATORS[type(op)], self._value(left), self._value(right))
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                return pairwise(OPERATORS[type(op)], self._value(left), self._value(right))
            case ast.Call(func=ast.Name(id=name), args=arguments):
                return self._called(name, [self._value(each) for each in arguments])
        raise NotImplementedError(ast.dump(node))

    def _called(self, name: str, values: list[Any]) -> Any:
        if name == "METRICS":
            wanted = values[0] if values else ""
            return [each for key, each in self._series.items() if wanted in key]
        if name == "IF":
            condition, then, otherwise = (spread(each, values[0]) for each in values)
            chosen = zip(condition, then, otherwise, strict=True)
            return [None if c is None else (yes if c else no) for c, yes, no in chosen]
        together = OVER_ARRAYS[name]
        columns = [[v for v in column if v is not None] for column in zip(*values[0], strict=True)]
        return [together(column) if column else None for column in columns]


def pairwise(calculate: Callable[[float, float], float], left: Value, right: Value) -> Series:
    """Calculate period by period; what misses a side, or divides by zero, is missing."""
    pairs = zip(spread(left, right), spread(right, left), strict=True)
    is_division = calculate is operator.truediv
    return [
        None if a is None or b is None or (is_division and not b) else calculate(a, b)
        for a, b in pairs
    ]


def spread(value: Any, beside: Any) -> Series:
    """Return a series as it is, and a number as one as long as its neighbour."""
    return value if isinstance(value, list) else [value] * len(beside)
