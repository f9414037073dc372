"""Alarms are evaluated here as CloudWatch evaluates them."""

from typing import Any

import pytest

from tests.template.evaluator import Math, Series, goes_off, statistics
from tests.template.operations.monitored import Metric

A: Series = [1.0, None, 30.0]
SERIES: dict[str, Series] = {"a": A, "b_one": [2.0, None, None], "b_two": [4.0, None, 6.0]}
ALARM = {
    "Namespace": "N",
    "MetricName": "M",
    "Dimensions": [{"Name": "d", "Value": "v"}],
    "Statistic": "Sum",
    "Period": 60,
    "EvaluationPeriods": 3,
    "Threshold": "5",
    "ComparisonOperator": "GreaterThanThreshold",
    "TreatMissingData": "notBreaching",
}
METRIC = Metric("N", "M", frozenset({("d", "v")}))


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("a", [1, None, 30]),
        ("a + 1", [2, None, 31]),
        ("100 * a / b_two", [25, None, 500]),
        ("-a", None),
        ("a / SUM(METRICS())", [1 / 7, None, 30 / 36]),
        ('SUM(METRICS("b_"))', [6, None, 6]),
        ('MAX(METRICS("b_")) / 2', [2, None, 3]),
        ("IF(a >= 20, 7, 0)", [0, None, 7]),
        ("IF(a >= 20, b_two, 0)", [0, None, 6]),
        ("a / 0", [None, None, None]),
    ],
)
def test_metric_math_skips_missing_data(expression: str, expected: Any) -> None:
    if expected is None:
        with pytest.raises(NotImplementedError):
            Math(SERIES).value(expression)
    else:
        assert Math(SERIES).value(expression) == expected


def test_an_unsupported_function_is_an_error() -> None:
    with pytest.raises(KeyError):
        Math(SERIES).value("AVG(METRICS())")


@pytest.mark.parametrize(
    ("stat", "expected"),
    [("Sum", [None, 3, 20]), ("Maximum", [None, 2, 20]), ("p95", [None, 2, 20])],
)
def test_data_points_are_aggregated_by_period(stat: str, expected: Series) -> None:
    points = [(61.0, 1.0), (119.0, 2.0), (120.0, 20.0), (180.0, 99.0)]
    assert statistics(points, stat, 60, 3, 180) == expected


def test_the_95th_percentile_is_reached_by_five_of_a_hundred() -> None:
    points = [(1.0, float(value)) for value in range(1, 101)]
    assert statistics(points, "p95", 60, 1, 60) == [95]


@pytest.mark.parametrize(
    ("changes", "values", "fires"),
    [
        ({}, [6, 6, 6], True),
        ({}, [6, 5, 6], False),
        ({"DatapointsToAlarm": 2}, [6, 5, 6], True),
        ({"DatapointsToAlarm": 2}, [6, None, 6], True),
        ({}, [None, None, None], False),
    ],
)
def test_an_alarm_is_raised_when_enough_periods_exceed_its_threshold(
    changes: dict[str, int], values: Series, fires: bool
) -> None:
    points = [(60.0 * at, value) for at, value in enumerate(values) if value is not None]
    assert goes_off(ALARM | changes, {METRIC: points}, 180) is fires
