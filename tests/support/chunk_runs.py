"""One chunk of a batch on loopback: its file, its provider, and the worker function."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from functions.batch_worker.handler import handler
from llm_relay.api import relay
from llm_relay.batch.model import names
from llm_relay.batch.model.input_file import Chunk
from llm_relay.batch.model.leases import Lease, Leases
from llm_relay.batch.model.record import IN_PROGRESS
from llm_relay.batch.model.results import RowResult, parse_part
from tests.functions.conftest import Context
from tests.support.batch_environment import batch_aws
from tests.support.failing_provider import FailingProvider, rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from llm_relay.batch.model.record import Batch
    from tests.functions.conftest import Secret
    from tests.support.batch_environment import BatchAws

__all__ = ["batch_aws"]


@dataclass
class ChunkRun:
    """One chunk, and the invocations of the worker function for it."""

    world: BatchAws
    provider: FailingProvider
    batch: Batch
    chunk: Chunk
    answers: list[dict[str, Any]] = field(default_factory=list)

    def run(self, seconds: float = 600, **changes: Any) -> dict[str, Any]:
        """Invoke the function as Step Functions does: each output is the next input."""
        event = (self.answers[-1] if self.answers else self.event()) | changes
        answer = handler(json.loads(json.dumps(event)), Context(seconds, time.monotonic()))
        self.answers.append(json.loads(json.dumps(answer)))
        return self.answers[-1]

    def run_with(self, meanwhile: Callable[[], object]) -> dict[str, Any]:
        """Invoke the function while `meanwhile` runs in another thread."""
        with ThreadPoolExecutor(1) as pool:
            other = pool.submit(meanwhile)
            answer = self.run()
            other.result()
        return answer

    def event(self) -> dict[str, Any]:
        """The first input."""
        owner, batch_id = self.batch.owner, self.batch.id
        return {
            "owner": owner,
            "batch": batch_id,
            "chunk": asdict(self.chunk),
            "silent_invocations": 0,
        }

    def results(self) -> list[RowResult]:
        """All written results, in the order of the keys."""
        keys = list(self.world.bucket.keys(names.parts_prefix(self.batch.id, self.chunk.number)))
        return [each for key in keys for each in parse_part(self.world.bucket.get(key))]

    def lines(self) -> dict[int, Any]:
        """The lines by row; each row has at most one."""
        results = self.results()
        assert len({each.row for each in results}) == len(results)
        return {each.row: json.loads(each.line) for each in results}

    def chunk_item(self) -> dict[str, Any]:
        """The item of the chunk in the table."""
        return next(i for i in self.world.items() if i["pk"]["S"].startswith("chunks#"))

    def now(self) -> Batch:
        batch = self.world.store.batch(self.batch.owner, self.batch.id)
        assert batch
        return batch

    def lease(self) -> Lease:
        """Take the chunk's lease, as another worker would."""
        taken = Leases(self.world.table).acquire(self.batch.id, self.chunk.number)
        assert isinstance(taken, Lease)
        return taken


@dataclass
class WorkerSetup:
    """Creates chunks for the worker function, and the provider that answers their rows."""

    world: BatchAws
    provider: FailingProvider

    def chunk_run(self, content: bytes, count: int | None = None, **batch: Any) -> ChunkRun:
        """Add a batch whose file is a single chunk."""
        size = content.count(b"\n") if count is None else count
        record = self.world.add_batch(content, **{"status": IN_PROGRESS, "total": size} | batch)
        chunk = Chunk(number=7, start=0, end=len(content), first_row=0, rows=size)
        return ChunkRun(self.world, self.provider, record, chunk)

    def rows_with(self, *behaviours: str, **batch: Any) -> ChunkRun:
        return self.chunk_run(rows(behaviours), **batch)


@pytest.fixture
def worker_setup(batch_aws: BatchAws, secret: Secret) -> Iterator[WorkerSetup]:
    provider = FailingProvider()
    with provider:
        for name, value in {
            "UPSTREAM_BASE_URL": provider.base_url,
            "UPSTREAM_MAX_ATTEMPTS": "1",
            "UPSTREAM_FIRST_BYTE_SECONDS": "100",
            "UPSTREAM_CONNECTIONS": "32",
            "BATCH_CONCURRENCY": "32",
        }.items():
            batch_aws.environment.setenv(name, value)
        yield WorkerSetup(batch_aws, provider)
        relay.provider_router.cache_clear()
