"""Single jobs from the queue: each is answered once, whatever is delivered how often."""

from __future__ import annotations

import itertools
import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from llm_relay.api.relay import provider_router
from llm_relay.aws.dynamodb import dynamodb
from llm_relay.jobs import leases
from llm_relay.jobs.job import ROUTE
from llm_relay.jobs.job_types import QueueJob
from llm_relay.jobs.worker import STORE_RESERVE_SECONDS
from llm_relay.observability.call_record import CallRecord
from tests.support.dynamodb_proxy import RESET_AFTER_EXECUTION, DynamoDbProxy
from tests.support.job_environment import JobWorld, job_world
from tests.support.payloads import COMPLETION, INPUT, QUESTION, RESPONSE
from tests.support.scripted_provider import CLOSE, whole
from tests.template.stack import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.scripted_provider import Script

__all__ = ["job_world"]  # a fixture

CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
JOB = {"id": "job-1", "url": CHAT, "body": QUESTION}
SAMPLES = sorted((ROOT / "events" / "job_worker").glob("*.json"))
SECRET_WORDS = "the-words-of-a-prompt"
REFUSAL = {"error": {"message": "no", "type": "t", "param": None, "code": "c"}}


def hidden_until(world: JobWorld, message: dict[str, Any]) -> float:
    """Return when a message will be there again, in seconds since the epoch."""
    from moto.backends import get_backend  # noqa: PLC0415

    backend = get_backend("sqs")["123456789012"]["us-east-1"]
    queue = backend.queues[world.queue.rpartition("/")[2]]
    until: float = next(m.visible_at for m in queue._messages if m.id == message["messageId"])
    return until / 1000


def test_an_answer_is_stored_as_a_batch_line_and_published(
    job_world: JobWorld,
) -> None:
    job_world.provider.scripts = [whole(200, COMPLETION, x_request_id="req-9")]
    job_world.send(JOB)
    assert job_world.deliver(job_world.receive()) == []
    assert job_world.result("job-1") == {
        "id": "job-1",
        "custom_id": "job-1",
        "response": {"status_code": 200, "request_id": "req-9", "body": COMPLETION},
        "error": None,
    }
    where = {"bucket": job_world.batch.bucket.name, "key": "jobs/job-1.json"}
    assert job_world.take_events() == [("job.completed", {"id": "job-1", "result": where})]
    assert job_world.receive() == []


def test_a_job_without_an_id_gets_the_message_id(job_world: JobWorld) -> None:
    job_world.provider.scripts = [whole(200, RESPONSE)]
    message_id = job_world.send({"url": RESPONSES, "body": INPUT})
    assert job_world.deliver(job_world.receive()) == []
    assert job_world.result(message_id)["response"]["body"] == RESPONSE
    assert job_world.provider.requests[0].path == RESPONSES


def test_a_message_redelivered_after_its_end_is_not_sent_again(job_world: JobWorld) -> None:
    job_world.provider.scripts = [whole(200, COMPLETION)]
    job_world.send(JOB)
    messages = job_world.receive()
    assert job_world.deliver(messages) == []
    first = job_world.take_events()
    assert job_world.deliver(messages) == []
    assert len(job_world.provider.requests) == 1
    # The invocation may have died before it published; the id of the event is the same.
    assert job_world.take_events() == first


def test_a_message_redelivered_in_progress_waits_for_the_first_delivery(
    job_world: JobWorld,
) -> None:
    is_asked = threading.Event()
    both = threading.Barrier(2)
    job_world.provider.scripts = [[is_asked, both, *whole(200, COMPLETION)]]
    job_world.send(JOB)
    messages = job_world.receive()
    started = time.time()
    with ThreadPoolExecutor() as pool:
        first = pool.submit(job_world.deliver, messages, 300)
        assert is_asked.wait(30)
        assert job_world.deliver(messages) == [messages[0]["messageId"]]
        assert 300 <= hidden_until(job_world, messages[0]) - started < 400
        both.wait(30)
        assert first.result(30) == []
    assert len(job_world.provider.requests) == 1
    assert job_world.result("job-1")["response"]["status_code"] == 200


def test_a_job_survives_lost_replies_of_dynamodb(
    job_world: JobWorld, environment: pytest.MonkeyPatch
) -> None:
    job_world.provider.scripts = [whole(200, COMPLETION)]
    job_world.send(JOB)
    messages = job_world.receive()
    every_other = itertools.cycle([RESET_AFTER_EXECUTION, None])
    with DynamoDbProxy(
        job_world.batch.endpoint_url, fault=lambda _: next(every_other)
    ) as dynamodb_proxy:
        environment.setenv("AWS_ENDPOINT_URL_DYNAMODB", dynamodb_proxy.url)
        dynamodb.cache_clear()
        assert job_world.deliver(messages) == []
        dynamodb().close()
        dynamodb.cache_clear()
    assert (
        dynamodb_proxy.operations == ["UpdateItem"] * 4
    )  # taken and ended, each of them tried twice
    assert len(job_world.provider.requests) == 1
    assert [kind for kind, _ in job_world.take_events()] == ["job.completed"]


def test_a_job_survives_wrong_settings(
    job_world: JobWorld, environment: pytest.MonkeyPatch
) -> None:
    job_world.provider.scripts = [whole(200, COMPLETION)]
    job_world.send(JOB)
    messages = job_world.receive()
    with environment.context() as mistyped:
        mistyped.setenv("PROVIDERS", '[{"name": "No Name"}]')
        provider_router.cache_clear()
        assert job_world.deliver(messages) == [messages[0]["messageId"]]
    assert hidden_until(job_world, messages[0]) < time.time() + 60  # it comes again soon
    assert job_world.deliver(messages) == []
    assert job_world.result("job-1")["response"]["status_code"] == 200


def die_while_asking(world: JobWorld, body: Any, message_id: str) -> QueueJob:
    """Leave what an invocation leaves that was killed some seconds ago."""
    job = QueueJob(body, message_id, world.batch.bucket)
    expired = int(time.time()) - 5
    assert leases.acquire(job.key, "killed", expired, job.digest)[0]
    return job


def test_a_job_whose_invocation_was_killed_is_retried(job_world: JobWorld) -> None:
    job_world.provider.scripts = [whole(200, COMPLETION)]
    die_while_asking(job_world, JOB, job_world.send(JOB))
    assert job_world.deliver(job_world.receive()) == []
    assert job_world.result("job-1")["response"]["body"] == COMPLETION


@pytest.mark.parametrize(("status", "kind"), [(200, "job.completed"), (400, "job.failed")])
def test_a_result_stored_by_a_killed_invocation_is_published_without_a_retry(
    job_world: JobWorld, status: int, kind: str
) -> None:
    job = die_while_asking(job_world, JOB, job_world.send(JOB))
    line = {"custom_id": job.id, "response": {"status_code": status, "body": COMPLETION}}
    job_world.batch.bucket.put("jobs/job-1.json", json.dumps(line).encode())
    assert job_world.deliver(job_world.receive()) == []
    assert job_world.provider.requests == []
    assert job_world.result("job-1") == line
    assert [kind for kind, _ in job_world.take_events()] == [kind]


@pytest.mark.parametrize(
    ("script", "least"),
    [
        (whole(429, REFUSAL, retry_after="300"), 300),
        (whole(429, REFUSAL, retry_after="1"), 7.5),
        (whole(503, REFUSAL), 7.5),
        (whole(401, REFUSAL), 7.5),
    ],
)
def test_a_temporary_failure_redelivers_the_message_after_a_delay(
    job_world: JobWorld, script: Script, least: float
) -> None:
    job_world.provider.scripts = [script, whole(200, COMPLETION)]
    job_world.send(JOB)
    messages, started = job_world.receive(), time.time()
    assert job_world.deliver(messages) == [messages[0]["messageId"]]
    assert least <= hidden_until(job_world, messages[0]) - started < least + 100
    assert list(job_world.batch.bucket.keys("jobs/")) == []
    assert job_world.take_events() == []


def test_a_job_is_answered_after_a_temporary_failure(job_world: JobWorld) -> None:
    job_world.provider.scripts = [whole(503, REFUSAL), whole(200, COMPLETION)]
    job_world.send(JOB)
    first = job_world.receive()
    assert len(job_world.deliver(first)) == 1
    job_world.hurry(first)
    assert job_world.deliver(job_world.receive()) == []
    assert job_world.result("job-1")["response"]["body"] == COMPLETION
    assert len(job_world.provider.requests) == 2


def test_without_a_provider_key_jobs_wait(job_world: JobWorld) -> None:
    job_world.batch.environment.setenv("PROVIDER_KEY_SECRET_ARN", "arn:aws:none")
    job_world.send(JOB)
    assert len(job_world.deliver(job_world.receive())) == 1
    assert job_world.take_events() == []


def test_a_final_refusal_is_the_result(job_world: JobWorld) -> None:
    job_world.provider.scripts = [whole(422, REFUSAL)]
    job_world.send(JOB)
    assert job_world.deliver(job_world.receive()) == []
    response = job_world.result("job-1")["response"]
    assert (response["status_code"], response["body"]["error"]["code"]) == (422, "c")
    assert [kind for kind, _ in job_world.take_events()] == ["job.failed"]


def test_a_possibly_billed_job_is_not_retried(job_world: JobWorld) -> None:
    job_world.provider.scripts = [[CLOSE]]
    job_world.send(JOB)
    assert job_world.deliver(job_world.receive()) == []
    response = job_world.result("job-1")["response"]
    assert (response["status_code"], response["body"]["error"]["code"]) == (502, "upstream_error")
    assert len(job_world.provider.requests) == 1


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ("no JSON", None),
        ("[]", None),
        ({"url": CHAT, "body": QUESTION, "id": "../x"}, "id"),
        ({"url": CHAT, "body": QUESTION, "id": 5}, "id"),
        ({"url": "/v1/embeddings", "body": QUESTION}, "url"),
        ({"body": QUESTION}, "url"),
        ({"url": CHAT}, "body"),
        ({"url": CHAT, "body": QUESTION | {"stream": True}}, "body.stream"),
        ({"url": RESPONSES, "body": INPUT | {"background": True}}, "body.background"),
        ({"url": CHAT, "body": {"model": "m"}}, "messages"),
    ],
)
def test_a_bad_message_fails_under_its_own_id_and_says_why(
    job_world: JobWorld, body: Any, param: str | None
) -> None:
    message_id = job_world.send(body)
    assert job_world.deliver(job_world.receive()) == []
    response = job_world.result(message_id)["response"]
    assert (response["status_code"], response["body"]["error"]["param"]) == (400, param)
    assert [kind for kind, _ in job_world.take_events()] == ["job.failed"]
    assert job_world.provider.requests == []


def test_one_id_is_valid_for_one_request(
    job_world: JobWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    job_world.provider.scripts = [whole(200, COMPLETION)]
    job_world.send(JOB)
    job_world.deliver(job_world.receive())
    job_world.send(JOB)
    assert job_world.deliver(job_world.receive()) == []
    job_world.send(JOB | {"body": QUESTION | {"seed": 5}})
    assert len(job_world.deliver(job_world.receive())) == 1
    assert len(job_world.provider.requests) == 1
    assert '"job":"job-1"' in capsys.readouterr().out


def test_messages_of_one_delivery_run_concurrently_and_fail_separately(
    job_world: JobWorld,
) -> None:
    together = threading.Barrier(10)
    answers = [whole(status, COMPLETION) for status in (*[200] * 8, 503, 422)]
    job_world.provider.scripts = [[together, *answer] for answer in answers]
    for number in range(10):
        job_world.send(JOB | {"id": f"job-{number}"})
    messages = job_world.receive()
    assert len(messages) == 10
    assert len(job_world.deliver(messages)) == 1
    assert not together.broken
    assert len(list(job_world.batch.bucket.keys("jobs/"))) == 9
    kinds = sorted(kind for kind, _ in job_world.take_events())
    assert kinds == [*["job.completed"] * 8, "job.failed"]


def test_each_job_is_logged_in_one_line_without_its_contents(
    job_world: JobWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    content = {"messages": [{"role": "user", "content": SECRET_WORDS}]}
    job_world.provider.scripts = [whole(200, COMPLETION), whole(503, REFUSAL)]
    for number in range(2):
        job_world.send(JOB | {"id": f"job-{number}", "body": QUESTION | content})
    job_world.deliver(job_world.receive())
    job_world.send(f'{{"{SECRET_WORDS}')
    job_world.deliver(job_world.receive())
    out = capsys.readouterr().out
    lines = [json.loads(line) for line in out.splitlines()]
    logged = [line for line in lines if line.get("message") == "request"]
    assert [line["route"] for line in logged] == ["SQS job"] * 3
    assert sorted(line["status"] for line in logged) == [200, 400, 503]
    metrics = [line for line in lines if "_aws" in line]
    assert [sum(line["Requests"]) for line in metrics] == [1, 1, 1]
    assert SECRET_WORDS not in out


def test_a_message_stays_if_its_result_cannot_be_stored(
    job_world: JobWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    job_world.provider.scripts = [whole(200, COMPLETION)]
    job_world.batch.environment.setenv("BATCH_BUCKET", "no-such-bucket")
    job_world.send(JOB)
    # For 5 s it is tried again, and once more after them.
    assert len(job_world.deliver(job_world.receive(), STORE_RESERVE_SECONDS + 5)) == 1
    assert job_world.take_events() == []
    assert "internal error" in capsys.readouterr().out


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_a_sample_event_is_a_message_as_the_queue_holds_it(job_world: JobWorld, path: Path) -> None:
    [record] = json.loads(path.read_text())["Records"]
    is_chat = json.loads(record["body"])["url"] == CHAT
    job_world.provider.scripts = [whole(200, COMPLETION if is_chat else RESPONSE)]
    job_world.send(record["body"])
    [received] = job_world.receive()
    assert record.keys() == received.keys()
    assert record["md5OfBody"] == received["md5OfBody"]
    assert job_world.deliver([received]) == []
    assert [kind for kind, _ in job_world.take_events()] == [
        "job.failed" if path.stem.startswith("bad") else "job.completed"
    ]


@pytest.fixture
def fast_thread_switching() -> Iterator[None]:
    """Have threads take turns as often as can be."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("environment", "fast_thread_switching")
def test_concurrently_ended_calls_are_reported_one_by_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def end(number: int) -> None:
        CallRecord(route=ROUTE, request_id=f"job-{number}", client="operator").finish(200)

    with ThreadPoolExecutor(max_workers=10) as pool:
        list(pool.map(end, range(200)))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    logged = [line["request_id"] for line in lines if line.get("Requests") == [1]]
    assert sorted(logged) == sorted(f"job-{number}" for number in range(200))
