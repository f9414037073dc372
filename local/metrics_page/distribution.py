"""A histogram with logarithmic bins, for percentiles in little memory."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping

WIDTH = math.log(1.04)  # of a bin: percentiles are right to 2 %
PERCENTILES = (50, 95, 99)


class Distribution:
    """Counts values in logarithmic bins."""

    def __init__(self) -> None:
        self.count, self.sum = 0, 0.0
        self.least, self.most = math.inf, -math.inf
        self._bins: Counter[float] = Counter()

    def add(self, value: float) -> None:
        """Count a value."""
        self.count += 1
        self.sum += value
        self.least, self.most = min(self.least, value), max(self.most, value)
        self._bins[round(math.log(value) / WIDTH) if value > 0 else -math.inf] += 1

    def percentile(self, percent: float) -> float:
        """Return a percentile."""
        left = math.ceil(self.count * percent / 100)
        for number, count in sorted(self._bins.items()):
            left -= count
            if left <= 0:
                return min(max(math.exp(number * WIDTH), self.least), self.most)
        return self.most

    def said(self) -> Mapping[str, float]:
        """Return the statistics of at least one value."""
        return {
            "count": self.count,
            "sum": rounded(self.sum),
            "least": rounded(self.least),
            "most": rounded(self.most),
            **{f"p{percent}": rounded(self.percentile(percent)) for percent in PERCENTILES},
        }

    def _take_in(self, other: "Distribution") -> None:
        self.count += other.count
        self.sum += other.sum
        self.least, self.most = min(self.least, other.least), max(self.most, other.most)
        self._bins.update(other._bins)


def merged(distributions: Iterable[Distribution]) -> Distribution:
    """Return the union of distributions."""
    whole = Distribution()
    for each in distributions:
        whole._take_in(each)  # noqa: SLF001 - one of its own kind
    return whole


def rounded(value: float) -> float:
    """Return a number rounded to six digits."""
    return float(f"{value:.6g}")
