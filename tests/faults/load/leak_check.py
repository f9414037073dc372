"""Whether the functions' processes leak memory or files over time."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from tests.faults.invariants import processes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from local.stack import Stack
    from tests.faults.invariants import Process

MOST_GROWTH = 1.15  # from the first quarter to the last
SPARE_MEGABYTES = 10.0
SPARE_FILES = 3


class ResourceWatch:
    """Samples the resources of the processes."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._seen: list[dict[int, Process]] = []

    def look(self) -> None:
        """Record the resources of every process now."""
        self._seen.append(processes(self._stack))

    def quarters(self, what: Callable[[Process], float]) -> tuple[float, float]:
        """Return the median of the processes that ran all the time, early and late."""
        count = max(1, len(self._seen) // 4)
        early, late = self._seen[:count], self._seen[-count:]
        lasting = set.intersection(*(set(seen) for seen in (*early, *late)))
        return _usual(early, lasting, what), _usual(late, lasting, what)

    def wrong(self) -> Iterator[str]:
        """Yield what has grown."""
        early, late = self.quarters(lambda process: process.megabytes)
        if late > max(early * MOST_GROWTH, early + SPARE_MEGABYTES):
            yield f"memory has grown from {early:.0f} to {late:.0f} MB a process"
        early, late = self.quarters(lambda process: process.files)
        if late > early + SPARE_FILES:
            yield f"open files have grown from {early:.0f} to {late:.0f} a process"

    def summary(self) -> str:
        """Return the figures as text."""
        memory = self.quarters(lambda process: process.megabytes)
        files = self.quarters(lambda process: process.files)
        return (
            f"a process, in the first and last quarter: {memory[0]:.0f} and {memory[1]:.0f} MB, "
            f"{files[0]:.0f} and {files[1]:.0f} files open"
        )


def _usual(
    seen: list[dict[int, Process]], lasting: set[int], what: Callable[[Process], float]
) -> float:
    return median(what(look[pid]) for look in seen for pid in lasting) if lasting else 0.0
