"""Batches: one worker as a process, the memory of what surrounds it, and the whole engine."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from bench.answers import chat_question
from bench.batch_engine import scaling
from bench.batch_memory import memory
from bench.batch_rows import BUCKET, environ, inbox_key, make_stores, planned, row
from bench.figures import Figure, figure
from bench.world import World, event, provider

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.runtime_api import Environment

ANSWER_SECONDS = 1
AT_ONCE = 128
ROWS_PER_CHUNK = 2000
MEMORY_GB = 1.0  # what the template gives the worker, and here the single call as well
SINGLE_CALLS = 3
SIZES = (32, 64, 128, 256)
WAVES = 16  # rows of a chunk for each that is asked at once, as in the template
WARM_UP_ROWS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """What one invocation of the worker did."""

    rows: int
    seconds: float
    cpu_seconds: float

    @property
    def rows_per_second(self) -> float:
        """Return its pace, from the event to the answer."""
        return self.rows / self.seconds

    @property
    def cpu_milliseconds(self) -> float:
        """Return the CPU of its process for each row."""
        return 1000 * self.cpu_seconds / self.rows

    @property
    def gb_seconds(self) -> float:
        """Return what is billed for 1,000 rows."""
        return 1000 * MEMORY_GB * self.seconds / self.rows


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
    shifts, singles = [], []
    with (
        worker(world, base_url, AT_ONCE) as ours,
        world.function(world.installs.relay, UPSTREAM_BASE_URL=base_url) as single,
    ):
        run(ours, warm_up)
        single.invoke(event(chat_question()))
        for work in inputs:
            shifts.append(run(ours, work))
            calls = (single.invoke(event(chat_question())) for _ in range(SINGLE_CALLS))
            singles.append(1000 * MEMORY_GB * median(call.seconds for call in calls))
    yield "batch_rows_per_s", figure([shift.rows_per_second for shift in shifts])
    yield "batch_cpu_ms_per_row", figure([shift.cpu_milliseconds for shift in shifts])
    times = [alone / shift.gb_seconds for alone, shift in zip(singles, shifts, strict=True)]
    billed = {"ours": median(shift.gb_seconds for shift in shifts), "single": median(singles)}
    yield "batch_gbs_per_1000_vs_single", figure(times, billed)


def sizing(world: World, base_url: str) -> Figure:
    """Measure one chunk for each of some numbers of rows at once."""
    peers: dict[str, float] = {}
    for at_once in SIZES:
        work, warm_up = chunks(world, WAVES * at_once, 1)
        with worker(world, base_url, at_once) as function:
            run(function, warm_up)
            shift = run(function, work)
        peers |= {
            f"{at_once}_rows_per_s": shift.rows_per_second,
            f"{at_once}_cpu_ms_per_row": shift.cpu_milliseconds,
            f"{at_once}_gbs_per_1000": shift.gb_seconds,
        }
    return figure([peers[f"{AT_ONCE}_rows_per_s"]], peers)


@contextmanager
def worker(world: World, base_url: str, at_once: int) -> Iterator[Environment]:
    """Run the worker's process, which asks so many rows at once."""
    here = environ(
        UPSTREAM_BASE_URL=base_url,
        UPSTREAM_MAX_ATTEMPTS="1",
        UPSTREAM_CONNECTIONS=str(at_once),
        BATCH_CONCURRENCY=str(at_once),
    )
    with world.function(world.installs.batch_worker, **here) as function:
        yield function


def chunks(world: World, rows_per_chunk: int, count: int) -> list[dict[str, object]]:
    """Put a file of rows in, and return what workers are given of it; the last is a small one."""
    rows, s3 = rows_per_chunk * count + WARM_UP_ROWS, world.aws("s3")
    s3.put_object(Bucket=BUCKET, Key=inbox_key(rows), Body=b"".join(map(row, range(rows))))
    with world.function(world.installs.batch_plan, **environ(rows_per_chunk)) as plan:
        found = planned(plan, rows)
    manifest = json.loads(s3.get_object(Bucket=BUCKET, Key=found.manifest)["Body"].read())
    s3.close()
    return [found.work(chunk) for chunk in manifest]


def run(function: Environment, work: dict[str, object]) -> Shift:
    """Return how a worker did a chunk; RuntimeError if it left something."""
    begun = function.cpu_seconds()
    answered = function.invoke(work)
    left = json.loads(answered.body)
    if left["left"]:
        raise RuntimeError(f"The worker left rows: {left}")
    return Shift(
        rows=left["chunk"]["rows"],
        seconds=answered.seconds,
        cpu_seconds=function.cpu_seconds() - begun,
    )
