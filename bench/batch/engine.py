"""The whole engine on the local stack: from a file in the inbox to its results."""

from __future__ import annotations

import asyncio
import json
import time
from statistics import median
from typing import Any

from bench.batch.rows import row
from bench.environment.environment import PROVIDER_KEY, BenchContext
from bench.report.results import Measurement, summarize
from local.settings import Settings
from local.stack import Stack

FEW = 1_000
ROWS, QUICK_ROWS = (10_000, 100_000), (10_000,)
WORKERS, ROWS_PER_CHUNK = 2, 500  # so that 1,000 rows have both workers at work, as many have
FEW_TURNS = 3
TIMEOUT_SECONDS = 1800
INTERVAL_SECONDS = 0.2


def scaling(context: BenchContext) -> Measurement:
    """Compare the seconds per row of large batches with those of small ones."""
    return asyncio.run(_scaling(context))


async def _scaling(context: BenchContext) -> Measurement:
    settings = Settings(
        upstream_url=context.base_url,
        provider_key=PROVIDER_KEY,
        parameters={
            "ProviderDialect": "abliteration",
            "BatchWorkers": WORKERS,
            "BatchRowsPerChunk": ROWS_PER_CHUNK,
        },
        environment=context.trust,
        log=context.scratch / "local.log",
    )
    async with Stack(settings) as stack:
        await stack.complete()
        await seconds_of(stack, FEW)  # its processes are up then
        turns = 1 if context.is_quick else FEW_TURNS
        few = [await seconds_of(stack, FEW) / FEW for _ in range(turns)]
        per_row = {FEW: median(few)}
        for rows in QUICK_ROWS if context.is_quick else ROWS:
            per_row[rows] = await seconds_of(stack, rows) / rows
    shown = {f"ms_at_{rows}": 1000 * seconds for rows, seconds in per_row.items()}
    return summarize([per_row[max(per_row)] / each for each in few], shown)


async def seconds_of(stack: Stack, rows: int) -> float:
    """Put a file into the inbox and return how long it took until its batch had ended."""
    s3, name = stack.aws("s3"), f"{rows}-{time.time_ns()}"
    content = b"".join(map(row, range(rows)))
    begun = time.perf_counter()
    place = {"Bucket": stack.bucket, "Key": f"inbox/{name}.jsonl"}
    await asyncio.to_thread(lambda: s3.put_object(**place, Body=content))
    ended = await asyncio.to_thread(_ended, s3, stack.bucket, f"outbox/{name}/")
    seconds = time.perf_counter() - begun
    if ended["request_counts"] != {"total": rows, "completed": rows, "failed": 0}:
        raise RuntimeError(f"Not all rows were answered: {ended['request_counts']}")
    return seconds


def _ended(s3: Any, bucket: str | None, prefix: str) -> dict[str, Any]:
    """Wait for the batch document beside the results and return it."""
    gives_up = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < gives_up:
        listed = s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
        for key in (each["Key"] for each in listed if each["Key"].endswith("/batch.json")):
            ended: dict[str, Any] = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
            return ended
        time.sleep(INTERVAL_SECONDS)
    raise RuntimeError(f"No results under {prefix} after {TIMEOUT_SECONDS} s")
