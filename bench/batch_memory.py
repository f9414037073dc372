"""Plan and assemble over very many rows: memory, and rows per second of CPU."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bench.batch_rows import environ, planned
from bench.figures import Figure, figure
from bench.installs import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.world import World

ROWS, QUICK_ROWS = (1_000, 100_000, 1_000_000), (1_000, 20_000)


def memory(world: World) -> Figure:
    """Measure both steps at some numbers of rows, each time in new processes."""
    most: list[float] = []
    peers: dict[str, float] = {}
    for rows in QUICK_ROWS if world.is_quick else ROWS:
        found = both(world, rows)
        most = [value for name, value in found.items() if name.endswith("_mb")]
        peers |= {f"{name}_at_{rows}": value for name, value in found.items()}
    return figure([max(most)], peers)


def both(world: World, rows: int) -> dict[str, float]:
    """Return the most memory of plan and assemble, their seconds and rows per second of CPU."""
    with endless_bucket(world, rows) as url:
        here = environ(AWS_ENDPOINT_URL_S3=url)
        with world.function(world.installs.batch_plan, **here) as plan:
            begun = plan.cpu_seconds()
            batch = planned(plan, rows)
            found = {"plan_mb": plan.peak_megabytes()}
            found["plan_rows_per_cpu_s"] = rows / (plan.cpu_seconds() - begun)
        with world.function(world.installs.batch_assemble, **here) as assemble:
            begun = assemble.cpu_seconds()
            answer = assemble.invoke(batch.whole()).body
            if b'"wait_seconds":0' not in answer.replace(b" ", b""):
                raise RuntimeError(f"Not assembled: {answer!r}")
            found["assemble_mb"] = assemble.peak_megabytes()
            found["assemble_rows_per_cpu_s"] = rows / (assemble.cpu_seconds() - begun)
    return found


@contextmanager
def endless_bucket(world: World, rows: int) -> Iterator[str]:
    """Run an S3 in a process of its own, and yield its URL."""
    path = os.pathsep.join(map(str, world.installs.layers))
    process = subprocess.Popen(  # noqa: S603 - our own command
        [str(world.installs.python), "-m", "bench.endless_bucket", str(rows)],
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
