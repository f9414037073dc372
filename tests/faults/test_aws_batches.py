"""Batches and jobs while AWS fails: nothing lost, nothing asked twice, and the ledger right."""

from __future__ import annotations

import json
import random
import time
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from functions.batch_plan.handler import handler as plan
from functions.job_worker.handler import handler as hand_over
from llm_relay.aws.dynamodb import dynamodb
from llm_relay.aws.s3 import s3
from llm_relay.batch.model.input_file import Chunk, parse_manifest
from llm_relay.batch.model.names import manifest_key
from llm_relay.billing.ledger import ledger
from tests.faults.aws.calls import MESSAGES
from tests.faults.aws.environment import SECRETS, SEED, aws, aws_proxy, environment, secret
from tests.faults.aws.faults import (
    DENIED,
    ERROR_IN_200_BODY,
    RESET_AFTER_EXECUTION,
    RESET_BEFORE_EXECUTION,
    THROTTLED,
    TRANSIENT,
    UNAVAILABLE,
)
from tests.functions.conftest import Context, provider
from tests.functions.test_batch_assemble import EXECUTION, assemble, ids_of, now_of
from tests.support.batch_environment import batch_aws
from tests.support.caller_faults import CallerFaults
from tests.support.chunk_runs import ChunkRun, worker_setup
from tests.support.dynamodb_proxy import DynamoDbProxy
from tests.support.event_recorder import published_events
from tests.support.failing_provider import line
from tests.support.job_environment import job_world
from tests.support.ledger_accounts import Accounts, client, is_sound, make_table
from tests.support.payloads import COMPLETION, QUESTION
from tests.support.scripted_provider import whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from llm_relay.batch.model.record import Batch
    from tests.faults.aws.faults import FaultyAws
    from tests.support.batch_environment import BatchAws
    from tests.support.chunk_runs import WorkerSetup
    from tests.support.event_recorder import EventRecorder
    from tests.support.job_environment import JobWorld, Message

__all__ = [
    "aws",
    "batch_aws",
    "aws_proxy",
    "environment",
    "job_world",
    "published_events",
    "worker_setup",
    "provider",
    "secret",
]

ROWS, ROW_NANOS = 30, 25_000
JOBS = 8
PART = 8 * 1024 * 1024
TIMEOUT_SECONDS = 20


def now_and_then(aws_proxy: FaultyAws, seed: int, one_in: int) -> None:
    """Let one of so many operations meet a fault that passes."""
    nothing = [None] * (one_in - 1) * len(TRANSIENT)
    aws_proxy.fault_for = CallerFaults(seed, [*TRANSIENT, *nothing])


def until_done(work: Callable[[], Any]) -> Any:
    """Do something again as long as it raises, as the invoker of a function does."""
    for _ in range(TIMEOUT_SECONDS):
        try:
            return work()
        except Exception as error:  # noqa: BLE001 - Step Functions asks for no reason either
            failure = error
    raise failure


def test_a_batch_through_a_failing_aws_has_every_row_once(
    aws_proxy: FaultyAws,
    worker_setup: WorkerSetup,
    published_events: EventRecorder,
    capfd: pytest.CaptureFixture[str],
) -> None:
    world = worker_setup.world
    table = make_table(dynamodb())
    world.environment.setenv("CLIENTS_TABLE", table)
    world.environment.setenv("BATCH_ROWS_PER_CHUNK", "12")
    ledger.cache_clear()
    lines = [line(row, messages=[MESSAGES[0] | {"name": f"row-{row}"}]) for row in range(ROWS)]
    batch = world.add_batch(b"".join(lines), client=client(10**12))
    now_and_then(aws_proxy, SEED, one_in=5)
    event = {"execution": EXECUTION, "input": {"owner": batch.owner, "batch": batch.id}}
    assert until_done(lambda: plan(event, None))["outcome"] == "planned"
    for chunk in until_done(lambda: parse_manifest(world.bucket.get(manifest_key(batch.id)))):
        work_through(worker_setup, batch, chunk)
    until_done(lambda: assembled(world, batch))
    met, printed = sum(aws_proxy.met.values()), "".join(capfd.readouterr())
    aws_proxy.clear_faults()
    known = now_of(world, batch)
    assert (known.status, known.completed, known.failed) == ("completed", ROWS, 0)
    assert sorted(ids_of(world, batch, "output")) == sorted(f"row-{n}" for n in range(ROWS))
    assert sum(worker_setup.provider.asked.values()) == ROWS
    account = Accounts(DynamoDbProxy(world.endpoint_url), table, dynamodb()).read()
    assert is_sound(account)
    assert account.spent == ROWS * ROW_NANOS
    assert {event["detail-type"] for event in published_events.take()} == {"batch.completed"}
    assert [word for word in SECRETS if word in printed] == []
    assert met > 50


def work_through(worker_setup: WorkerSetup, batch: Batch, chunk: Chunk) -> None:
    """Invoke workers until a chunk is done, each once the lease of the one before is over."""
    work = ChunkRun(worker_setup.world, worker_setup.provider, batch, chunk)
    for _ in range(TIMEOUT_SECONDS):
        if until_done(work.run)["left"] == 0:
            return
        until_done(lambda: let_leases_end(worker_setup.world))
    pytest.fail("rows are left")


def assembled(world: BatchAws, batch: Batch) -> None:
    let_leases_end(world)
    assert assemble(batch) == 0


def let_leases_end(world: BatchAws) -> None:
    for item in world.items():
        if "holder" in item:
            dynamodb().update_item(
                TableName=world.table,
                Key={name: item[name] for name in ("pk", "sk")},
                UpdateExpression="SET #until = :zero",
                ExpressionAttributeNames={"#until": "until"},
                ExpressionAttributeValues={":zero": {"N": "0"}},
            )


@pytest.mark.parametrize("operation", ["CreateMultipartUpload", "UploadPart", "PutObject"])
@pytest.mark.parametrize(
    "fault", [THROTTLED, UNAVAILABLE, RESET_BEFORE_EXECUTION, RESET_AFTER_EXECUTION]
)
def test_a_long_object_is_complete_although_s3_fails_once(
    aws_proxy: FaultyAws, batch_aws: BatchAws, operation: str, fault: str
) -> None:
    size = 10 if operation == "PutObject" else PART + 10
    planned = iter([fault])
    aws_proxy.fault = lambda name: next(planned, None) if name == f"s3.{operation}" else None
    with batch_aws.bucket.writer("a") as writer:
        writer.write(bytes(size - 1))
        writer.write(b"x")
    assert aws_proxy.met["s3", fault] == 1
    assert batch_aws.bucket.get("a") == bytes(size - 1) + b"x"


@pytest.mark.parametrize("fault", [UNAVAILABLE, ERROR_IN_200_BODY, RESET_BEFORE_EXECUTION])
def test_an_upload_that_s3_fails_to_complete_once_is_completed(
    aws_proxy: FaultyAws, batch_aws: BatchAws, fault: str
) -> None:
    planned = iter([fault])
    complete = "s3.CompleteMultipartUpload"
    aws_proxy.fault = lambda name: next(planned, None) if name == complete else None
    with batch_aws.bucket.writer("a") as writer:
        writer.write(bytes(PART))
    assert aws_proxy.operations.count(complete) == 2
    assert batch_aws.bucket.head("a")["ContentLength"] == PART


@pytest.mark.parametrize("operation", ["UploadPart", "CompleteMultipartUpload"])
def test_an_upload_that_s3_refuses_leaves_nothing_and_can_be_repeated(
    aws_proxy: FaultyAws, batch_aws: BatchAws, operation: str
) -> None:
    aws_proxy.fault = lambda name: DENIED if name == f"s3.{operation}" else None
    with pytest.raises(ClientError, match="AccessDenied"), batch_aws.bucket.writer("a") as writer:
        writer.write(bytes(PART))
    aws_proxy.clear_faults()
    assert list(batch_aws.bucket.keys("")) == []
    assert not s3().list_multipart_uploads(Bucket=batch_aws.bucket.name).get("Uploads")
    with batch_aws.bucket.writer("a") as writer:
        writer.write(bytes(PART))
    assert batch_aws.bucket.head("a")["ContentLength"] == PART


@pytest.mark.parametrize("seed", [SEED, -SEED])
def test_jobs_delivered_twice_and_out_of_order_through_a_failing_aws_run_once(
    aws_proxy: FaultyAws, job_world: JobWorld, seed: int, capfd: pytest.CaptureFixture[str]
) -> None:
    chance = random.Random(seed)  # noqa: S311 - the same each time
    job_world.provider.scripts = [whole(200, COMPLETION)]
    for number in range(JOBS):
        body = QUESTION | {"messages": MESSAGES, "user": f"job-{number}"}
        job_world.send({"id": f"job-{number}", "url": "/v1/chat/completions", "body": body})
    messages = job_world.receive()
    assert len(messages) == JOBS
    now_and_then(aws_proxy, seed, one_in=5)
    for _ in range(4):  # SQS delivers at least once, and in any order
        deliver(job_world, chance.sample(messages, JOBS // 2))
    aws_proxy.clear_faults()
    let_leases_end(job_world.batch)
    deliver(job_world, messages)
    deliver(job_world, messages[::-1])
    users = sorted(asked_by(job_world))
    assert users == sorted(f"job-{number}" for number in range(JOBS))
    for number in range(JOBS):
        assert job_world.result(f"job-{number}")["response"]["status_code"] == 200
    assert [word for word in SECRETS if word in "".join(capfd.readouterr())] == []


def test_an_answer_that_s3_refuses_at_first_is_stored_without_a_second_call(
    aws_proxy: FaultyAws, job_world: JobWorld
) -> None:
    job_world.provider.scripts = [whole(200, COMPLETION)]
    job_world.send({"id": "job-1", "url": "/v1/chat/completions", "body": QUESTION})
    planned = iter([DENIED, DENIED])  # botocore asks S3 no second time
    aws_proxy.fault = lambda name: next(planned, None) if name == "s3.PutObject" else None
    assert job_world.deliver(job_world.receive()) == []
    assert job_world.result("job-1")["response"]["status_code"] == 200
    assert len(job_world.provider.requests) == 1


def deliver(job_world: JobWorld, messages: list[Message]) -> None:
    """Hand messages to the worker, whatever became of them before."""
    hand_over({"Records": messages}, Context(60, time.monotonic()))


def asked_by(job_world: JobWorld) -> list[str]:
    return [json.loads(request.body)["user"] for request in job_world.provider.requests]
