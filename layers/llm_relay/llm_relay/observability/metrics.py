"""One line per call or worker invocation: facts for Logs Insights, and figures that become metrics.

CloudWatch takes metrics out of log lines (its Embedded Metric Format, here in Powertools' hand), so
one line is both. A line of Powertools' Logger beside it would cost more than all of this.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch import (
    AmazonCloudWatchEMFProvider,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_COUNT, _MILLISECONDS = MetricUnit.Count.value, MetricUnit.Milliseconds.value
_TRACE = "_X_AMZN_TRACE_ID"

# All there are; docs/operate.md says what each tells.
METRIC_UNITS = dict.fromkeys(
    (
        "Requests",
        "Failures",
        "ClientErrors",
        "RelayErrors",
        "ProviderErrors",
        "Attempts",
        "RateLimited",
        "ProviderKeyRejected",
        "BudgetHolds",
        "BudgetRefused",
        "TokensIn",
        "TokensOut",
        "CostUsd",
        "ColdStart",
        "RowsCompleted",
        "RowsFailed",
        "RowsLeft",
        "MaxConcurrency",
    ),
    _COUNT,
) | {
    "RowsPerSecond": MetricUnit.CountPerSecond.value,
    **dict.fromkeys(
        ("TimeToFirstByte", "UpstreamTime", "OverheadTime", "TotalTime", "WorkerDuration"),
        _MILLISECONDS,
    ),
}

# Calls may end side by side, and a line must not be torn by another.
_WRITING = threading.Lock()
# Told with the first line of an environment, and gone.
_COLD_START = [{"ColdStart": 1}]
_text_of = json.JSONEncoder(separators=(",", ":")).encode


def emit_metrics(
    message: str,
    facts: Mapping[str, Any],
    figures: Mapping[str, float | None],
    dimensions: Mapping[str, str],
) -> None:
    """Write the one line; each figure is a metric of the stack, and of each dimension by itself.

    All combinations of dimensions would be metrics to pay for, and mostly empty ones.
    """
    with _WRITING:
        emf = _emf()
        known = {**figures, **(_COLD_START.pop() if _COLD_START else {})}
        metrics = {
            name: {"Unit": METRIC_UNITS[name], "Value": [value]}
            for name, value in known.items()
            if value is not None
        }
        stack = {"service": emf.service}
        emf.dimension_sets = [{**stack, name: value} for name, value in dimensions.items()]
        # Not by add_metric, which checks and copies each value, for many times the cost.
        line = emf.serialize_metric_set(metrics, stack, {**_origin(message), **facts})
        sys.stdout.write(_text_of(line) + "\n")


def _origin(message: str) -> dict[str, str]:
    """Return what Powertools' Logger puts into its lines, so that all are searched alike."""
    trace = os.environ.get(_TRACE, "").partition(";")[0].removeprefix("Root=")
    origin = {"level": "INFO", "message": message}
    return origin | {"xray_trace_id": trace} if trace else origin


@lru_cache(maxsize=1)
def _emf() -> AmazonCloudWatchEMFProvider:
    return AmazonCloudWatchEMFProvider()
