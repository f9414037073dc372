"""Results on their way into parts, over an S3 that fails."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import ClientError

from llm_relay.aws.s3 import Bucket
from llm_relay.batch.model.results import RowResult, parse_part
from llm_relay.batch.worker.part_writer import PartWriter
from llm_relay.core.deadline import Deadline
from tests.support.scripted_provider import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from llm_relay.batch.worker.heartbeat import LeaseHeartbeat


@dataclass
class FlakyS3:
    """Keeps objects; `faults` are met in order: lost before it is kept, or after."""

    faults: list[str] = field(default_factory=list)
    objects: dict[str, bytes] = field(default_factory=dict)
    is_free: threading.Event = field(default_factory=threading.Event)

    def put_object(self, *, Key: str, Body: bytes, **_: Any) -> None:  # noqa: N803 - boto3's
        assert self.is_free.wait(100)
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "before":
            raise ConnectionError
        if fault == "conflict":
            raise ClientError({"Error": {"Code": "ConditionalRequestConflict"}}, "PutObject")
        if Key in self.objects:
            raise ClientError({"Error": {"Code": "PreconditionFailed"}}, "PutObject")
        self.objects[Key] = Body
        if fault == "after":
            raise ConnectionError


def result(row: int) -> RowResult:
    return RowResult(row=row, line=b"{}\n", is_answer=True)


def writer_to(
    s3: FlakyS3,
    written: list[int],
    may_write: Callable[[], bool] = lambda: True,
    is_lost: Callable[[], bool] = lambda: False,
) -> PartWriter:
    heartbeat = SimpleNamespace(is_valid=may_write, is_lost=is_lost())
    return PartWriter(
        Bucket("b", lambda: s3),
        lambda number: f"part-{number}",
        cast("LeaseHeartbeat", heartbeat),
        lambda results: written.extend(each.row for each in results),
    )


def rows_in(s3: FlakyS3) -> list[int]:
    return [each.row for key in sorted(s3.objects) for each in parse_part(s3.objects[key])]


@pytest.mark.parametrize("fault", ["before", "after"])
def test_a_failed_write_is_retried_and_reported_once(fault: str) -> None:
    s3, written = FlakyS3([fault]), list[int]()
    writer = writer_to(s3, written)
    writer.add(result(1))
    s3.is_free.set()
    wait_until(lambda: writer.is_failing)
    writer.add(result(2))
    writer.close(Deadline.after(60))
    assert rows_in(s3) == written == [1, 2]
    assert not writer.is_failing


def test_results_unwritten_at_the_end_are_an_error() -> None:
    s3 = FlakyS3(["before"] * 50)
    s3.is_free.set()
    writer = writer_to(s3, [])
    writer.add(result(1))
    with pytest.raises(ConnectionError):
        writer.close(Deadline.after(0.1))


def test_a_conflict_at_the_end_is_retried_while_there_is_time() -> None:
    s3, written = FlakyS3(["conflict"] * 2), list[int]()
    s3.is_free.set()
    writer = writer_to(s3, written)
    writer.add(result(1))
    writer.close(Deadline.after(60))
    assert rows_in(s3) == written == [1]


def test_results_are_held_until_writing_is_allowed() -> None:
    s3, written, is_ours = FlakyS3(), list[int](), threading.Event()
    s3.is_free.set()
    asked = threading.Semaphore(0)

    def may_write() -> bool:
        asked.release()
        return is_ours.is_set()

    writer = writer_to(s3, written, may_write)
    writer.add(result(1))
    assert all(asked.acquire(timeout=100) for _ in range(2))
    assert not s3.objects
    is_ours.set()
    writer.close(Deadline.after(60))
    assert rows_in(s3) == written == [1]
    assert not writer.dropped_results


@pytest.mark.parametrize(("is_lost", "seconds"), [(True, 60), (False, 0.1)])
def test_nothing_is_written_without_a_valid_lease(is_lost: bool, seconds: float) -> None:
    s3, written = FlakyS3(), list[int]()
    writer = writer_to(s3, written, lambda: False, lambda: is_lost)
    writer.add(result(1))
    writer.close(Deadline.after(seconds))
    assert not s3.objects
    assert not written
    assert writer.dropped_results


def test_results_during_a_write_go_into_the_next_part() -> None:
    s3, written = FlakyS3(), list[int]()
    writer = writer_to(s3, written)
    for row in range(100):
        writer.add(result(row))
    s3.is_free.set()
    writer.close(Deadline.after(60))
    assert sorted(rows_in(s3)) == sorted(written) == list(range(100))
