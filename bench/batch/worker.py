"""One worker of a batch as a process, and what it does with a chunk."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.batch.rows import BUCKET, environ, inbox_key, planned, row

if TYPE_CHECKING:
    from bench.environment.environment import World
    from bench.environment.runtime_api import Environment

WARM_UP_ROWS = 512  # so many it takes to work up from 4 at once to 256


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRun:
    """What one invocation of the worker did."""

    rows: int
    seconds: float
    cpu_seconds: float

    @property
    def rows_per_second(self) -> float:
        """Return the rows per second, from the event to the answer."""
        return self.rows / self.seconds

    @property
    def cpu_milliseconds(self) -> float:
        """Return the CPU of its process for each row."""
        return 1000 * self.cpu_seconds / self.rows

    def gb_seconds(self, memory_gb: float) -> float:
        """Return what is billed for 1,000 rows."""
        return 1000 * memory_gb * self.seconds / self.rows


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


def run(function: Environment, work: dict[str, object]) -> WorkerRun:
    """Return how a worker did a chunk; RuntimeError if it left something."""
    begun = function.cpu_seconds()
    answered = function.invoke(work)
    left = json.loads(answered.body)
    if left["left"]:
        raise RuntimeError(f"The worker left rows: {left}")
    return WorkerRun(
        rows=left["chunk"]["rows"],
        seconds=answered.seconds,
        cpu_seconds=function.cpu_seconds() - begun,
    )
