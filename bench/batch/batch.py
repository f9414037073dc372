"""Batches: one worker as a process, the memory of plan and assemble, and the whole engine."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from bench.batch.engine import scaling
from bench.batch.memory import memory
from bench.batch.rows import make_stores
from bench.batch.sizing import sizing
from bench.batch.worker import chunks, run, worker
from bench.environment.answers import chat_question
from bench.environment.environment import BenchContext, event, provider
from bench.report.results import Measurement, summarize

ANSWER_SECONDS = 1
AT_ONCE = 128
ROWS_PER_CHUNK = 2000
MEMORY_GB = 1.0  # of the worker in the template, and here of the single call too
SINGLE_CALLS = 3


def batch(context: BenchContext) -> Iterator[tuple[str, Measurement]]:
    """Yield the measurements of batches."""
    make_stores(context)
    with provider(context.installs, context.certified, ANSWER_SECONDS) as base_url:
        yield from one_worker(context, base_url)
        if not context.is_quick:
            yield "batch_sizing", sizing(context, base_url)
    yield "batch_memory_mb", memory(context)
    yield "batch_scaling", scaling(context)


def one_worker(context: BenchContext, base_url: str) -> Iterator[tuple[str, Measurement]]:
    """Yield the throughput of one worker, and its cost compared with single calls."""
    turns = 1 if context.is_quick else 3
    *inputs, warm_up = chunks(context, ROWS_PER_CHUNK, turns)
    runs, singles = [], []
    with (
        worker(context, base_url, AT_ONCE) as ours,
        context.function(context.installs.relay, UPSTREAM_BASE_URL=base_url) as single,
    ):
        run(ours, warm_up)
        single.invoke(event(chat_question()))
        for worker_input in inputs:
            runs.append(run(ours, worker_input))
            calls = (single.invoke(event(chat_question())) for _ in range(SINGLE_CALLS))
            singles.append(1000 * MEMORY_GB * median(call.seconds for call in calls))
    yield "batch_rows_per_s", summarize([each.rows_per_second for each in runs])
    yield (
        "batch_cpu_ms_per_row",
        summarize([each.cpu_milliseconds for each in runs]),
    )
    times = [alone / each.gb_seconds(MEMORY_GB) for alone, each in zip(singles, runs, strict=True)]
    billed = {
        "ours": median(each.gb_seconds(MEMORY_GB) for each in runs),
        "single": median(singles),
    }
    yield "batch_gbs_per_1000_vs_single", summarize(times, billed)
