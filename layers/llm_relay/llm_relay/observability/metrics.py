"""Writes one line per call or chunk: fields for Logs Insights, and metrics for CloudWatch.

CloudWatch extracts metrics from log lines in its Embedded Metric Format, so one line is both; a
second line by Powertools' Logger would cost more than all of this.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch import (
    AmazonCloudWatchEMFProvider,
)

_COUNTS = (
    "Requests", "Failures", "ClientErrors", "RelayErrors", "ProviderErrors", "Attempts",
    "RateLimited", "ProviderKeyRejected", "BudgetReservations", "BudgetRefused", "TokensIn",
    "TokensOut", "CostUsd", "ColdStart", "RowsCompleted", "RowsFailed", "RowsLeft",
    "MaxConcurrency",
)  # fmt: skip
_TIMES = ("TimeToFirstByte", "UpstreamTime", "OverheadTime", "TotalTime", "WorkerDuration")
# All metrics; docs/reference/metrics.md describes them.
METRIC_UNITS = {
    **dict.fromkeys(_COUNTS, MetricUnit.Count.value),
    **dict.fromkeys(_TIMES, MetricUnit.Milliseconds.value),
    "RowsPerSecond": MetricUnit.CountPerSecond.value,
}

# Calls may finish at the same time, and their lines must not mix.
_WRITE_LOCK = threading.Lock()
_COLD_START = [{"ColdStart": 1}]  # written with the first line of an environment
_emf = lru_cache(maxsize=1)(AmazonCloudWatchEMFProvider)  # made with the first line
_encode = json.JSONEncoder(separators=(",", ":")).encode


def emit_metrics(
    message: str,
    fields: Mapping[str, Any],
    metrics: Mapping[str, float | None],
    dimensions: Mapping[str, str],
) -> None:
    """Write the line; each metric counts for the stack, and for each dimension separately.

    Combinations of dimensions would cost as much as further metrics, and be mostly empty.
    """
    with _WRITE_LOCK:
        emf = _emf()
        metrics = {**metrics, **(_COLD_START.pop() if _COLD_START else {})}
        values = {
            name: {"Unit": METRIC_UNITS[name], "Value": [value]}
            for name, value in metrics.items()
            if value is not None
        }
        stack = {"service": emf.service}
        emf.dimension_sets = [{**stack, name: value} for name, value in dimensions.items()]
        # add_metric would check and copy each value, at many times the cost.
        line = emf.serialize_metric_set(values, stack, {**_log_fields(message), **fields})
        sys.stdout.write(_encode(line) + "\n")


def _log_fields(message: str) -> dict[str, str]:
    """Return the fields of Powertools' Logger, so that all lines can be searched alike."""
    fields = {"level": "INFO", "message": message}
    trace = os.environ.get("_X_AMZN_TRACE_ID", "").partition(";")[0].removeprefix("Root=")
    return fields | {"xray_trace_id": trace} if trace else fields
