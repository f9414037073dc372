"""Batches: one worker as a process, the memory of what surrounds it, and the whole engine."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from bench.batch.engine import scaling
from bench.batch.memory import memory
from bench.batch.rows import make_stores
from bench.batch.sizing import sizing
from bench.batch.worker import chunks, run, worker
from bench.environment.answers import chat_question
from bench.environment.environment import World, event, provider
from bench.report.figures import Figure, figure

ANSWER_SECONDS = 1
AT_ONCE = 128
ROWS_PER_CHUNK = 2000
MEMORY_GB = 1.0  # what the template gives the worker, and here the single call as well
SINGLE_CALLS = 3


def batch(world: World) -> Iterator[tuple[str, Figure]]:
    """Yield the figures of batches."""
    make_stores(world)
    with provider(world.installs, world.certified, ANSWER_SECONDS) as base_url:
        yield from one_worker(world, base_url)
        if not world.is_quick:
            yield "batch_sizing", sizing(world, base_url)
    yield "batch_memory_mb", memory(world)
    yield "batch_scaling", scaling(world)


def one_worker(world: World, base_url: str) -> Iterator[tuple[str, Figure]]:
    """Yield what one worker does in a second, and what that costs against single calls."""
    turns = 1 if world.is_quick else 3
    *inputs, warm_up = chunks(world, ROWS_PER_CHUNK, turns)
    runs, singles = [], []
    with (
        worker(world, base_url, AT_ONCE) as ours,
        world.function(world.installs.relay, UPSTREAM_BASE_URL=base_url) as single,
    ):
        run(ours, warm_up)
        single.invoke(event(chat_question()))
        for work in inputs:
            runs.append(run(ours, work))
            calls = (single.invoke(event(chat_question())) for _ in range(SINGLE_CALLS))
            singles.append(1000 * MEMORY_GB * median(call.seconds for call in calls))
    yield "batch_rows_per_s", figure([each.rows_per_second for each in runs])
    yield (
        "batch_cpu_ms_per_row",
        figure([each.cpu_milliseconds for each in runs]),
    )
    times = [alone / each.gb_seconds(MEMORY_GB) for alone, each in zip(singles, runs, strict=True)]
    billed = {
        "ours": median(each.gb_seconds(MEMORY_GB) for each in runs),
        "single": median(singles),
    }
    yield "batch_gbs_per_1000_vs_single", figure(times, billed)
