"""One log line and one set of metrics for an invocation of the batch worker."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from llm_relay.money import usd_of

if TYPE_CHECKING:
    from llm_relay.batch.books import Totals
    from llm_relay.batch.outlook import Stop
    from llm_relay.batch.shift import Shift


def tell(  # noqa: PLR0913 - all that there is to tell
    *,
    batch: str,
    chunk: int,
    left: int,
    stop: Stop | None,
    shift: Shift,
    totals: Totals,
    seconds: float,
) -> None:
    """Tell what an invocation did, and why it stopped."""
    counts = {
        "RowsCompleted": totals.completed,
        "RowsFailed": totals.failed,
        "RowsLeft": left,
        "RateLimited": shift.limited,
        "TokensIn": totals.tokens_in,
        "TokensOut": totals.tokens_out,
        "CostUsd": usd_of(totals.cost_nanos),
        "MostAtOnce": shift.most_under_way,
    }
    facts = {
        "batch": batch,
        "chunk": chunk,
        "stopped": stop.reason if stop else None,
        "wait_seconds": stop.wait_seconds if stop else None,
        "seconds": round(seconds, 3),
    }
    _logger().info("batch chunk", extra={k: v for k, v in facts.items() if v is not None} | counts)
    _measure(counts, seconds)


def _measure(counts: dict[str, float], seconds: float) -> None:
    metrics = _metrics()
    metrics.clear_metrics()  # of an invocation that broke off here
    metrics.add_dimension("route", "batch worker")
    for name, value in counts.items():
        metrics.add_metric(name=name, unit=MetricUnit.Count, value=value)
    metrics.add_metric(name="TotalTime", unit=MetricUnit.Milliseconds, value=seconds * 1000)
    metrics.flush_metrics()


@lru_cache(maxsize=1)
def _logger() -> Logger:
    return Logger()


@lru_cache(maxsize=1)
def _metrics() -> Metrics:
    return Metrics()
