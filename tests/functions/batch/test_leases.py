"""How a worker keeps its chunk: while it reads, and when its lease has lapsed."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from llm_relay.aws.s3 import s3
from llm_relay.batch.model import names
from llm_relay.batch.model.leases import Leases
from llm_relay.batch.model.results import RowResult, format_part
from llm_relay.batch.worker.heartbeat import LeaseHeartbeat
from tests.support.batch_environment import batch_aws
from tests.support.chunk_runs import worker_setup
from tests.support.failing_provider import line
from tests.support.s3_proxy import S3Proxy
from tests.support.scripted_provider import wait_until

if TYPE_CHECKING:
    from llm_relay.batch.model.leases import Lease
    from tests.support.chunk_runs import ChunkRun, WorkerSetup

__all__ = ["batch_aws", "worker_setup"]


def test_the_parts_of_a_chunk_are_read_concurrently_while_the_lease_is_renewed(
    worker_setup: WorkerSetup,
) -> None:
    work = worker_setup.rows_with(*["200"] * 12)
    for row in range(10):
        part = format_part([RowResult(row=row, line=line(row), is_answer=True)])
        work.world.bucket.put(names.part_key(work.batch.id, 7, 1, row), part)
    with S3Proxy(work.world.endpoint_url) as s3_proxy:
        _go_through(s3_proxy, worker_setup)
        worker = threading.Thread(target=work.run)
        worker.start()
        wait_until(lambda: s3_proxy.held >= 8)
        until = _until(work)
        wait_until(lambda: _until(work) > until)
        s3_proxy.open.set()
        worker.join()
    assert work.answers[0]["left"] == 0
    assert sorted(worker_setup.provider.asked) == ["row 10", "row 11"]
    assert (work.now().completed, work.now().failed) == (12, 0)


def test_an_expired_lease_is_renewed_if_no_other_worker_had_the_chunk(
    worker_setup: WorkerSetup,
) -> None:
    work = worker_setup.rows_with("200")
    heartbeat = _heartbeat(work, _lapsed(work))
    heartbeat.counts = (1, 0)
    assert not heartbeat.is_valid()
    wait_until(lambda: heartbeat.is_valid() or heartbeat.is_lost)
    heartbeat.close()
    assert not heartbeat.is_lost
    assert work.now().completed == 1
    assert _until(work) == 0


@pytest.mark.parametrize("status", ["cancelling", "finalizing", "completed"])
def test_an_expired_lease_is_lost_if_the_batch_may_have_been_assembled(
    worker_setup: WorkerSetup, status: str
) -> None:
    work = worker_setup.rows_with("200", status=status)
    heartbeat = _heartbeat(work, _lapsed(work))
    heartbeat.counts = (1, 0)
    heartbeat.close()
    assert heartbeat.is_lost
    assert not heartbeat.is_valid()
    assert work.now().completed == 0
    assert _until(work) == 0


def test_an_expired_lease_is_lost_if_another_worker_has_the_chunk(
    worker_setup: WorkerSetup,
) -> None:
    work = worker_setup.rows_with("200")
    lease = work.lease()
    Leases(work.world.table).release(lease)
    heartbeat, others = _heartbeat(work, lease), work.lease()
    heartbeat.close()
    assert heartbeat.is_lost
    assert work.chunk_item()["holder"]["S"] == others.holder
    assert _until(work) > time.time()


def _go_through(s3_proxy: S3Proxy, worker_setup: WorkerSetup) -> None:
    s3().close()
    s3.cache_clear()
    worker_setup.world.environment.setenv("AWS_ENDPOINT_URL_S3", s3_proxy.url)


def _lapsed(work: ChunkRun) -> Lease:
    return replace(work.lease(), valid_until=time.monotonic())


def _heartbeat(work: ChunkRun, lease: Lease) -> LeaseHeartbeat:
    return LeaseHeartbeat(leases=Leases(work.world.table), lease=lease, owner=work.batch.owner)


def _until(work: ChunkRun) -> int:
    return int(work.chunk_item()["until"]["N"])
