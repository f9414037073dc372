"""One worker of a batch as a process, and what it does with a chunk."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.batch.rows import BUCKET, environ, inbox_key, plan_batch, row

if TYPE_CHECKING:
    from bench.environment.environment import BenchContext
    from bench.environment.runtime_api import Environment

WARM_UP_ROWS = 512  # rows until the limiter has grown from 4 to 256


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
def worker(context: BenchContext, base_url: str, at_once: int) -> Iterator[Environment]:
    """Run the worker's process with a number of concurrent rows."""
    here = environ(
        UPSTREAM_BASE_URL=base_url,
        UPSTREAM_MAX_ATTEMPTS="1",
        UPSTREAM_CONNECTIONS=str(at_once),
        BATCH_CONCURRENCY=str(at_once),
    )
    with context.function(context.installs.batch_worker, **here) as function:
        yield function


def chunks(context: BenchContext, rows_per_chunk: int, count: int) -> list[dict[str, object]]:
    """Upload a file of rows, and return the input of each worker; the last chunk is small."""
    rows, s3 = rows_per_chunk * count + WARM_UP_ROWS, context.aws("s3")
    s3.put_object(Bucket=BUCKET, Key=inbox_key(rows), Body=b"".join(map(row, range(rows))))
    with context.function(context.installs.batch_plan, **environ(rows_per_chunk)) as plan:
        found = plan_batch(plan, rows)
    manifest = json.loads(s3.get_object(Bucket=BUCKET, Key=found.manifest)["Body"].read())
    s3.close()
    return [found.worker_input(chunk) for chunk in manifest]


def run(function: Environment, worker_input: dict[str, object]) -> WorkerRun:
    """Run a worker on a chunk; RuntimeError if it left rows."""
    begun = function.cpu_seconds()
    answered = function.invoke(worker_input)
    left = json.loads(answered.body)
    if left["left"]:
        raise RuntimeError(f"The worker left rows: {left}")
    return WorkerRun(
        rows=left["chunk"]["rows"],
        seconds=answered.seconds,
        cpu_seconds=function.cpu_seconds() - begun,
    )
