"""The metrics of this run: sums and percentiles per time step."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from local.metrics_page.distribution import Distribution, merged
from local.metrics_page.emf import Measurement

STEP_SECONDS = 10
KEPT_STEPS = 360  # an hour
MAX_SERIES = 300

Steps = dict[int, Distribution]


@dataclass(slots=True, kw_only=True)
class Series:
    """One metric with one set of dimensions."""

    unit: str
    whole: Distribution = field(default_factory=Distribution)
    steps: Steps = field(default_factory=lambda: defaultdict(Distribution))

    def add(self, seconds: float, value: float) -> None:
        """Count a value at a time."""
        self.whole.add(value)
        self.steps[int(seconds // STEP_SECONDS)].add(value)

    def forget(self, before: int) -> None:
        """Drop the steps before a step; totals stay."""
        for step in [step for step in self.steps if step < before]:
            del self.steps[step]


class Figures:
    """All series of a run, in bounded memory."""

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

    def said(self, where: Mapping[str, str]) -> dict[str, Any]:
        """Return the statistics of all metrics with given dimensions."""
        names = sorted({name for name, _ in self._series})
        return {
            "now": self._clock(),
            "step_seconds": STEP_SECONDS,
            "routes": self._values_of("route"),
            "metrics": {name: said for name in names if (said := self._metric(name, where))},
        }

    def _series_of(self, measurement: Measurement) -> Series:
        key = (measurement.name, frozenset(measurement.dimensions.items()))
        if key not in self._series and len(self._series) >= MAX_SERIES:
            key = (measurement.name, frozenset())  # series beyond the limit share one
        return self._series.setdefault(key, Series(unit=measurement.unit))

    def _values_of(self, dimension: str) -> list[str]:
        return sorted({dict(pairs).get(dimension, "") for _, pairs in self._series} - {""})

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
            "whole": merged(series.whole for _, series in found).said(),
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
        yield {"at": step * STEP_SECONDS, **merged(at[step]).said()}


def by_dimension(found: list[tuple[dict[str, str], Series]]) -> dict[str, dict[str, Any]]:
    """Return the totals by the values of each dimension."""
    parts: dict[str, dict[str, list[Distribution]]] = defaultdict(lambda: defaultdict(list))
    for dimensions, series in found:
        for key, value in dimensions.items():
            parts[key][value].append(series.whole)
    return {
        key: {value: merged(wholes).said() for value, wholes in sorted(values.items())}
        for key, values in parts.items()
    }
