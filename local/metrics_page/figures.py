"""The metrics of this run: sums and percentiles per time step, in bounded memory."""

import math
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from local.metrics_page.emf import Measurement

STEP_SECONDS = 10
KEPT_STEPS = 360  # an hour
MAX_SERIES = 300
WIDTH = math.log(1.04)  # of a distribution's bin: percentiles are right to 2 %
PERCENTILES = (50, 95, 99)


@dataclass(slots=True)
class Distribution:
    """Values in logarithmic bins, for percentiles in little memory."""

    count: int = 0
    sum: float = 0.0
    least: float = math.inf
    most: float = -math.inf
    bins: Counter[float] = field(default_factory=Counter)

    def add(self, value: float) -> None:
        """Count a value."""
        self.count += 1
        self.sum += value
        self.least, self.most = min(self.least, value), max(self.most, value)
        self.bins[round(math.log(value) / WIDTH) if value > 0 else -math.inf] += 1

    def percentile(self, percent: float) -> float:
        """Return a percentile."""
        left = math.ceil(self.count * percent / 100)
        for number, count in sorted(self.bins.items()):
            left -= count
            if left <= 0:
                return min(max(math.exp(number * WIDTH), self.least), self.most)
        return self.most

    def summary(self) -> dict[str, float]:
        """Return the statistics of at least one value, to six digits."""
        exact = {
            "sum": self.sum,
            "least": self.least,
            "most": self.most,
            **{f"p{percent}": self.percentile(percent) for percent in PERCENTILES},
        }
        rounded = {name: float(f"{value:.6g}") for name, value in exact.items()}
        return {"count": self.count, **rounded}


def merged(distributions: Iterable[Distribution]) -> Distribution:
    """Return the union of distributions."""
    whole = Distribution()
    for each in distributions:
        whole.count += each.count
        whole.sum += each.sum
        whole.least, whole.most = min(whole.least, each.least), max(whole.most, each.most)
        whole.bins.update(each.bins)
    return whole


@dataclass(slots=True, kw_only=True)
class Series:
    """One metric with one set of dimensions."""

    unit: str
    whole: Distribution = field(default_factory=Distribution)
    steps: dict[int, Distribution] = field(default_factory=lambda: defaultdict(Distribution))

    def add(self, seconds: float, value: float) -> None:
        """Count a value at a time."""
        self.whole.add(value)
        self.steps[int(seconds // STEP_SECONDS)].add(value)

    def forget(self, before: int) -> None:
        """Drop the steps before a step; totals stay."""
        for step in [step for step in self.steps if step < before]:
            del self.steps[step]


class Figures:
    """All series of a run."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._series: dict[tuple[str, frozenset[tuple[str, str]]], Series] = {}

    def add(self, measurements: Iterable[Measurement]) -> None:
        """Add measurements, and drop old steps."""
        for each in measurements:
            series = self._series_of(each)
            for value in each.values:
                series.add(each.seconds, value)
        for series in self._series.values():
            series.forget(int(self._clock() // STEP_SECONDS) - KEPT_STEPS)

    def summary(self, where: Mapping[str, str]) -> dict[str, Any]:
        """Return the statistics of all metrics with given dimensions."""
        names = sorted({name for name, _ in self._series})
        return {
            "now": self._clock(),
            "step_seconds": STEP_SECONDS,
            "routes": sorted({dict(pairs).get("route", "") for _, pairs in self._series} - {""}),
            "metrics": {name: found for name in names if (found := self._metric(name, where))},
        }

    def _series_of(self, measurement: Measurement) -> Series:
        key = (measurement.name, frozenset(measurement.dimensions.items()))
        if key not in self._series and len(self._series) >= MAX_SERIES:
            key = (measurement.name, frozenset())  # series beyond the limit share one
        return self._series.setdefault(key, Series(unit=measurement.unit))

    def _metric(self, name: str, where: Mapping[str, str]) -> dict[str, Any] | None:
        found = [
            (dict(pairs), series)
            for (known, pairs), series in self._series.items()
            if known == name and where.items() <= dict(pairs).items()
        ]
        if not found:
            return None
        return {
            "unit": found[0][1].unit,
            "whole": merged(series.whole for _, series in found).summary(),
            "steps": list(steps(series for _, series in found)),
            "by": by_dimension(found),
        }


def steps(many: Iterable[Series]) -> Iterator[dict[str, Any]]:
    """Yield the statistics of each non-empty step, over several series."""
    at: dict[int, list[Distribution]] = defaultdict(list)
    for series in many:
        for step, distribution in series.steps.items():
            at[step].append(distribution)
    for step in sorted(at):
        yield {"at": step * STEP_SECONDS, **merged(at[step]).summary()}


def by_dimension(found: list[tuple[dict[str, str], Series]]) -> dict[str, dict[str, Any]]:
    """Return the totals by the values of each dimension."""
    parts: dict[str, dict[str, list[Distribution]]] = defaultdict(lambda: defaultdict(list))
    for dimensions, series in found:
        for key, value in dimensions.items():
            parts[key][value].append(series.whole)
    return {
        key: {value: merged(wholes).summary() for value, wholes in sorted(values.items())}
        for key, values in parts.items()
    }
