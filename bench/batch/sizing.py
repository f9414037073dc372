"""Measures a batch worker for combinations of memory and concurrency."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bench.batch.worker import WorkerRun, chunks, run, worker
from bench.environment.cpu_quota import can_limit, cpu_quota
from bench.report.results import Measurement, summarize

if TYPE_CHECKING:
    from bench.environment.environment import BenchContext

TEMPLATE_MEGABYTES = 1024
SMALLER = (512, 256)
SIZES = (32, 64, 128, 256)
WAVES = 16  # rows of a chunk for each that is asked at once, as in the template


def sizing(context: BenchContext, base_url: str) -> Measurement:
    """Measure a chunk for each number of rows at once, with the CPU of each size of memory."""
    peers: dict[str, float] = {}
    for at_once in SIZES:
        for megabytes, worker_run in _worker_runs(context, base_url, at_once):
            name = str(at_once) if megabytes == TEMPLATE_MEGABYTES else f"{at_once}_{megabytes}mb"
            peers[f"{name}_rows_per_s"] = worker_run.rows_per_second
            peers[f"{name}_cpu_ms_per_row"] = worker_run.cpu_milliseconds
            peers[f"{name}_gbs_per_1000"] = worker_run.gb_seconds(megabytes / 1024)
    return summarize([peers["128_rows_per_s"]], peers)


def _worker_runs(
    context: BenchContext, base_url: str, at_once: int
) -> Iterator[tuple[int, WorkerRun]]:
    """Yield what one worker does with a chunk at each size of memory.

    Where no control groups can be made, that is the template's alone, with a whole core.
    """
    memories = (TEMPLATE_MEGABYTES, *SMALLER) if can_limit() else (TEMPLATE_MEGABYTES,)
    *inputs, warm_up = chunks(context, WAVES * at_once, len(memories))
    with worker(context, base_url, at_once) as function, cpu_quota(function.process.pid) as limit:
        run(function, warm_up)
        for megabytes, worker_input in zip(memories, inputs, strict=True):
            limit(megabytes)
            yield megabytes, run(function, worker_input)
