"""Runs the benchmarks behind the published numbers: `python -m bench [--quick] [--only NAME]`.

Exits with 1 if a target is missed, and prints which. A full run updates README.md and
docs/operations/performance.md; `--write-readme` repeats that for the last results.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from typing import TypeAlias

from rich.console import Console
from rich.table import Table

from bench.batch.batch import batch
from bench.environment.environment import BenchContext, bench_context, machine
from bench.interactive.cold import cold
from bench.interactive.streams import streams
from bench.interactive.warm import warm
from bench.report.results import TARGETS, Measurement, missed, write
from bench.report.table import RESULTS, publish

REPEATS, QUICK_REPEATS = 5, 1
Measure: TypeAlias = Callable[[BenchContext], Iterator[tuple[str, Measurement]]]
MEASURES: dict[str, Measure] = {"cold": cold, "warm": warm, "streams": streams, "batch": batch}


def main() -> int:
    """Return 0 if every target is met."""
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--quick", action="store_true", help="fewer repeats and rows")
    parser.add_argument("--only", choices=MEASURES, help="one group, whose results are not kept")
    parser.add_argument("--write-readme", action="store_true", help="measure nothing")
    chosen = parser.parse_args()
    if chosen.write_readme:
        publish()
        return 0
    console = Console()
    measurements: dict[str, Measurement] = {}
    repeats = QUICK_REPEATS if chosen.quick else REPEATS
    with bench_context(repeats, is_quick=chosen.quick) as context:
        about = {"machine": machine(context.installs.python)}
        for name in [chosen.only] if chosen.only else MEASURES:
            console.print(f"Measuring: {name} ...")
            measurements |= dict(MEASURES[name](context))
    console.print(table(measurements))
    if not chosen.only:
        write(RESULTS, measurements, about, quick=chosen.quick)
        publish()
    wrong = missed(measurements)
    console.print(f"Missed: {', '.join(wrong)}" if wrong else "Every target is met.")
    return 1 if wrong else 0


def table(measurements: dict[str, Measurement]) -> Table:
    """Return the figures as a table for the screen."""
    shown = Table("figure", "value", "target", "met", "spread")
    shown.add_column("peers", overflow="fold")
    for name, measurement in measurements.items():
        shown.add_row(
            f"{name}\n[dim]{TARGETS[name].says}[/dim]",
            f"{measurement.value:,.4g}",
            str(TARGETS[name]),
            "yes" if measurement.is_met(TARGETS[name]) else "[bold red]no[/bold red]",
            " to ".join(f"{value:,.4g}" for value in measurement.spread),
            "\n".join(f"{peer} {value:,.4g}" for peer, value in measurement.peers.items()),
        )
    return shown


if __name__ == "__main__":
    sys.exit(main())
