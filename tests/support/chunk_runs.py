"""One chunk of a batch on loopback: its file, its provider, and the function that works on it."""

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
from llm_relay.batch.model.leases import Lease, Leases
from llm_relay.batch.model.manifest import Chunk
from llm_relay.batch.model.parts import RowResult, parse_part
from llm_relay.batch.model.record import IN_PROGRESS
from tests.functions.conftest import Context
from tests.support.batch_environment import batch_world
from tests.support.failing_provider import FatedProvider, rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from llm_relay.batch.model.record import Batch
    from tests.functions.conftest import Secret
    from tests.support.batch_environment import BatchWorld

__all__ = ["batch_world"]


@dataclass
class Work:
    """One chunk that is worked on by the function."""

    world: BatchWorld
    provider: FatedProvider
    batch: Batch
    chunk: Chunk
    answers: list[dict[str, Any]] = field(default_factory=list)

    def run(self, seconds: float = 600, **changes: Any) -> dict[str, Any]:
        """Invoke the function as Step Functions does; what is left is its next input."""
        event = (self.answers[-1] if self.answers else self.event()) | changes
        answer = handler(json.loads(json.dumps(event)), Context(seconds, time.monotonic()))
        self.answers.append(json.loads(json.dumps(answer)))
        return self.answers[-1]

    def run_with(self, meanwhile: Callable[[], object]) -> dict[str, Any]:
        """Invoke the function while something else is done, which waits for what it needs."""
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
            "silent_attempts": 0,
        }

    def results(self) -> list[RowResult]:
        """Everything written, in the order of the keys."""
        keys = list(self.world.bucket.keys(names.parts_prefix(self.batch.id, self.chunk.number)))
        return [each for key in keys for each in parse_part(self.world.bucket.get(key))]

    def lines(self) -> dict[int, Any]:
        """The lines by row; there may be one of each at the most."""
        results = self.results()
        assert len({each.row for each in results}) == len(results)
        return {each.row: json.loads(each.line) for each in results}

    def chunk_item(self) -> dict[str, Any]:
        """What the table has of the chunk."""
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
class Office:
    """Where chunks are worked on."""

    world: BatchWorld
    provider: FatedProvider

    def work(self, content: bytes, count: int | None = None, **batch: Any) -> Work:
        """Put a file in, all of it one chunk."""
        size = content.count(b"\n") if count is None else count
        record = self.world.add_batch(content, **{"status": IN_PROGRESS, "total": size} | batch)
        chunk = Chunk(number=7, start=0, end=len(content), first_row=0, rows=size)
        return Work(self.world, self.provider, record, chunk)

    def fated(self, *fates: str, **batch: Any) -> Work:
        return self.work(rows(fates), **batch)


@pytest.fixture
def office(batch_world: BatchWorld, secret: Secret) -> Iterator[Office]:
    provider = FatedProvider()
    with provider:
        for name, value in {
            "UPSTREAM_BASE_URL": provider.base_url,
            "UPSTREAM_MAX_ATTEMPTS": "1",
            "UPSTREAM_FIRST_BYTE_SECONDS": "100",
            "UPSTREAM_CONNECTIONS": "32",
            "BATCH_CONCURRENCY": "32",
        }.items():
            batch_world.environment.setenv(name, value)
        yield Office(batch_world, provider)
        relay.provider_router.cache_clear()
