"""Plan and assemble over very many rows: memory, and rows per second of CPU."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.batch.rows import environ, plan_batch
from bench.environment.installs import ROOT
from bench.report.results import Measurement, summarize

if TYPE_CHECKING:
    from bench.environment.environment import BenchContext
    from bench.environment.runtime_api import Environment

ROWS, QUICK_ROWS = (1_000, 100_000, 1_000_000), (1_000, 10_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one step took, the start of its process included."""

    megabytes: float  # the maximum
    cpu_seconds: float
    seconds: float


def memory(context: BenchContext) -> Measurement:
    """Measure both steps at some numbers of rows, each time in new processes."""
    megabytes: list[float] = []
    peers: dict[str, float] = {}
    paces: dict[str, float] = {}
    seconds: dict[str, float] = {}
    for rows in QUICK_ROWS if context.is_quick else ROWS:
        steps = both(context, rows)
        megabytes = [step.megabytes for step in steps.values()]
        peers |= {f"{name}_at_{rows}": step.megabytes for name, step in steps.items()}
        # Of the last only: with few rows, starting the process takes most of the CPU.
        paces = {f"{name}_rows_per_cpu_s": rows / step.cpu_seconds for name, step in steps.items()}
        seconds = {f"{name}_seconds": step.seconds for name, step in steps.items()}
    return summarize([max(megabytes)], peers | paces | seconds)


def both(context: BenchContext, rows: int) -> dict[str, Step]:
    """Return what plan and assemble take, each in a new process."""
    with synthetic_bucket(context, rows) as url:
        here = environ(AWS_ENDPOINT_URL_S3=url)
        with context.function(context.installs.batch_plan, **here) as plan:
            begun = time.perf_counter()
            batch = plan_batch(plan, rows)
            steps = {"plan": _step(plan, begun)}
        with context.function(context.installs.batch_assemble, **here) as assemble:
            begun = time.perf_counter()
            answer = json.loads(assemble.invoke(batch.assemble_input()).body)
            steps["assemble"] = _step(assemble, begun)
    if answer["wait_seconds"]:
        raise RuntimeError(f"Not assembled: {answer}")
    return steps


def _step(function: Environment, begun: float) -> Step:
    return Step(
        megabytes=function.peak_megabytes(),
        cpu_seconds=function.cpu_seconds(),
        seconds=time.perf_counter() - begun,
    )


@contextmanager
def synthetic_bucket(context: BenchContext, rows: int) -> Iterator[str]:
    """Run the fake S3 in a separate process, and yield its URL."""
    path = os.pathsep.join(map(str, context.installs.layers))
    process = subprocess.Popen(  # noqa: S603 - our own command
        [str(context.installs.python), "-m", "bench.batch.synthetic_bucket", str(rows)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": path},
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        port = process.stdout.readline().strip() if process.stdout else ""
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()
