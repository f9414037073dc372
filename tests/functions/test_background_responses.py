"""Responses in the background: queued, asked by the worker, followed by their owner alone."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx2 as httpx
import openai
import pytest

from llm_relay.api.idempotency.records import persistence_layer as stored_answers
from llm_relay.api.relay import provider_router
from llm_relay.aws.dynamodb import dynamodb
from llm_relay.jobs import leases
from llm_relay.jobs.response_store import delete_record, document_key, record_key
from tests.support.job_environment import JobWorld, job_world
from tests.support.ledger_accounts import CLIENT, Accounts
from tests.support.payloads import INPUT, RESPONSE
from tests.support.priced_provider import LISTED, MODEL
from tests.support.scripted_provider import CLOSE, whole
from tests.template.stack import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["job_world"]  # a fixture

PATH = "/v1/responses"
ASKED = INPUT | {"background": True}
OWNER = "client-1"  # the key of the caller in proxy_event
REFUSAL = {"error": {"message": "no", "type": "t", "param": None, "code": "c"}}
SAMPLES = sorted((ROOT / "events" / "background_responses").glob("*.json"))
USD = 10**9
BUDGET = {"client": CLIENT, "budget_nanos": str(USD), "budget_per": "day"}
OUTPUT = [
    {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": "Hello.", "annotations": []}],
    }
]
ANSWER = RESPONSE | {"output": OUTPUT, "metadata": {"team": "blue"}}


def queued(world: JobWorld, **more: Any) -> str:
    answer = world.ask("POST", PATH, ASKED | more)
    assert answer.status == 200, answer.body
    found: str = answer.json()["id"]
    return found


def retrieved(world: JobWorld, response_id: str) -> Any:
    return world.ask("GET", f"{PATH}/{response_id}").json()


@pytest.fixture
def client(job_world: JobWorld) -> Iterator[openai.OpenAI]:
    """The official client, on the handlers."""

    def answer(request: httpx.Request) -> httpx.Response:
        query = dict(request.url.params)
        answer = job_world.ask(
            request.method,
            request.url.path,
            request.content.decode() or None,
            queryStringParameters=query or None,
        )
        return httpx.Response(answer.status, headers=answer.headers, content=answer.body)

    transport = httpx.MockTransport(answer)
    with (
        httpx.Client(transport=transport) as http,
        openai.OpenAI(api_key="x", base_url="http://x/v1", http_client=http, max_retries=0) as made,
    ):
        yield made


def test_the_official_client_queues_follows_and_deletes(
    job_world: JobWorld, client: openai.OpenAI
) -> None:
    job_world.provider.scripts = [whole(200, ANSWER)]
    made = client.responses.create(
        model="abliterated-model", input="Hello", background=True, metadata={"team": "blue"}
    )
    assert (made.status, made.background, made.output) == ("queued", True, [])
    assert client.responses.retrieve(made.id).status == "queued"
    assert job_world.provider.requests == []

    assert job_world.deliver(job_world.receive()) == []
    done = client.responses.retrieve(made.id)
    assert (done.id, done.status, done.background) == (made.id, "completed", True)
    assert (done.output_text, done.created_at) == ("Hello.", made.created_at)
    assert (done.metadata, done.usage and done.usage.total_tokens) == ({"team": "blue"}, 24)

    client.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(made.id)
    assert list(job_world.batch.bucket.keys("responses/")) == []


def test_the_provider_gets_the_request_without_the_background_field(
    job_world: JobWorld,
) -> None:
    job_world.provider.scripts = [whole(200, ANSWER)]
    queued(job_world, store=True, seed=5)
    job_world.deliver(job_world.receive())
    sent = json.loads(job_world.provider.requests[0].body)
    assert sent == INPUT | {"store": True, "seed": 5}


def test_the_message_does_not_contain_the_prompt(job_world: JobWorld) -> None:
    response_id = queued(job_world)
    [message] = job_world.receive()
    assert json.loads(message["body"]) == {"owner": OWNER, "response": response_id}


def test_the_official_client_cancels_a_queued_response_and_it_is_never_sent(
    job_world: JobWorld, client: openai.OpenAI
) -> None:
    made = client.responses.create(model="abliterated-model", input="Hello", background=True)
    assert client.responses.cancel(made.id).status == "cancelled"
    assert client.responses.cancel(made.id).status == "cancelled"
    assert job_world.deliver(job_world.receive()) == []
    assert job_world.provider.requests == []
    assert client.responses.retrieve(made.id).status == "cancelled"
    assert job_world.take_events() == [("response.cancelled", {"id": made.id, "owner": OWNER})]


def while_it_is_asked(
    world: JobWorld, happens: Callable[[], Any], *before: Any, answer: Any = ANSWER
) -> None:
    """Do something while the provider thinks about a response; then let it answer."""
    is_asked, may_answer = threading.Event(), threading.Barrier(2)
    script = [is_asked, may_answer, *whole(200, answer | {"model": MODEL})]
    world.provider.scripts = [*before, script]
    with ThreadPoolExecutor() as pool:
        left = pool.submit(world.deliver, world.receive())
        assert is_asked.wait(30)
        happens()
        may_answer.wait(30)
        assert left.result(30) == []


def test_a_response_is_in_progress_while_the_provider_is_called(job_world: JobWorld) -> None:
    response_id = queued(job_world)
    seen: list[str] = []
    while_it_is_asked(job_world, lambda: seen.append(retrieved(job_world, response_id)["status"]))
    assert [*seen, retrieved(job_world, response_id)["status"]] == ["in_progress", "completed"]


def test_the_answer_to_a_response_cancelled_meanwhile_is_dropped(job_world: JobWorld) -> None:
    response_id = queued(job_world)
    while_it_is_asked(job_world, lambda: job_world.ask("POST", f"{PATH}/{response_id}/cancel"))
    after = retrieved(job_world, response_id)
    assert (after["status"], after["output"], after["usage"]) == ("cancelled", [], None)
    assert [kind for kind, _ in job_world.take_events()] == ["response.cancelled"]


def lies(world: JobWorld, response_id: str) -> Any:
    """What the bucket has of a response."""
    return json.loads(world.batch.bucket.get(document_key(OWNER, response_id)))


PAID = ANSWER | {"remaining_credits": 7, "estimated_cost_usd": 0.1}


def test_no_answer_to_a_response_cancelled_meanwhile_is_stored(
    job_world: JobWorld,
) -> None:
    response_id = queued(job_world)
    before = lies(job_world, response_id)
    cancel = f"{PATH}/{response_id}/cancel"
    while_it_is_asked(job_world, lambda: job_world.ask("POST", cancel), answer=PAID)
    assert lies(job_world, response_id).keys() == before.keys()
    assert lies(job_world, response_id)["output"] == []
    assert lies(job_world, response_id)["status"] == "cancelled"
    assert retrieved(job_world, response_id) == lies(job_world, response_id)


def test_an_answer_that_a_killed_invocation_left_to_a_cancelled_response_is_dropped(
    job_world: JobWorld,
) -> None:
    response_id = queued(job_world)
    before = lies(job_world, response_id)
    job_world.ask("POST", f"{PATH}/{response_id}/cancel")
    left = json.dumps(PAID | {"id": response_id, "status": "completed"})
    job_world.batch.bucket.put(document_key(OWNER, response_id), left.encode())
    assert retrieved(job_world, response_id).keys() <= before.keys()
    assert job_world.deliver(job_world.receive()) == []
    assert (lies(job_world, response_id)["status"], job_world.provider.requests) == (
        "cancelled",
        [],
    )
    assert lies(job_world, response_id).keys() <= before.keys()


def test_a_response_deleted_meanwhile_leaves_nothing(job_world: JobWorld) -> None:
    path = f"{PATH}/{queued(job_world)}"
    while_it_is_asked(job_world, lambda: job_world.ask("DELETE", path))
    assert list(job_world.batch.bucket.keys("responses/")) == []
    assert job_world.take_events() == []


def test_an_answer_stored_during_a_deletion_is_deleted_too(job_world: JobWorld) -> None:
    response_id = queued(job_world)
    while_it_is_asked(job_world, lambda: delete_record(OWNER, response_id))
    assert list(job_world.batch.bucket.keys("responses/")) == []


def test_a_response_that_has_ended_cannot_be_cancelled(job_world: JobWorld) -> None:
    job_world.provider.scripts = [whole(200, ANSWER)]
    response_id = queued(job_world)
    job_world.deliver(job_world.receive())
    shown = job_world.ask("POST", f"{PATH}/{response_id}/cancel").json()
    assert (shown["status"], shown["output"]) == ("completed", OUTPUT)


@pytest.mark.parametrize("status", ["incomplete", "failed"])
def test_a_response_ends_with_the_provider_s_status(job_world: JobWorld, status: str) -> None:
    job_world.provider.scripts = [whole(200, ANSWER | {"status": status})]
    response_id = queued(job_world)
    job_world.deliver(job_world.receive())
    assert retrieved(job_world, response_id)["status"] == status
    assert job_world.take_events() == [(f"response.{status}", {"id": response_id, "owner": OWNER})]


@pytest.mark.parametrize(
    ("script", "code"), [(whole(422, REFUSAL), "c"), ([CLOSE], "upstream_error")]
)
def test_a_refusal_is_reported_by_the_response_itself(
    job_world: JobWorld, script: Any, code: str
) -> None:
    job_world.provider.scripts = [script]
    response_id = queued(job_world)
    assert job_world.deliver(job_world.receive()) == []
    shown = retrieved(job_world, response_id)
    assert (shown["status"], shown["error"]["code"]) == ("failed", code)
    assert shown["error"]["message"]
    assert len(job_world.provider.requests) == 1


def test_temporary_failures_requeue_a_response_and_the_last_one_fails_it(
    job_world: JobWorld,
) -> None:
    job_world.batch.environment.setenv("JOBS_MAX_DELIVERIES", "2")
    job_world.provider.scripts = [whole(503, REFUSAL)]
    response_id = queued(job_world)
    messages = job_world.receive()
    assert len(job_world.deliver(messages)) == 1
    assert retrieved(job_world, response_id)["status"] == "queued"
    job_world.hurry(messages)
    assert job_world.deliver(job_world.receive()) == []
    assert retrieved(job_world, response_id)["status"] == "failed"


def test_the_default_maximum_is_ten_deliveries(
    job_world: JobWorld,
) -> None:
    job_world.batch.environment.delenv("JOBS_MAX_DELIVERIES", raising=False)
    job_world.provider.scripts = [whole(503, REFUSAL)]
    response_id = queued(job_world)
    [message] = job_world.receive()
    for number, left, status in ((9, 1, "queued"), (10, 0, "failed")):
        message["attributes"]["ApproximateReceiveCount"] = str(number)
        assert len(job_world.deliver([message])) == left
        assert retrieved(job_world, response_id)["status"] == status


def test_wrong_settings_fail_a_response_only_at_the_last_delivery(
    job_world: JobWorld, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("JOBS_MAX_DELIVERIES", "2")
    response_id = queued(job_world)
    messages = job_world.receive()
    environment.setenv("PROVIDERS", "[]")
    provider_router.cache_clear()
    assert len(job_world.deliver(messages)) == 1
    assert retrieved(job_world, response_id)["status"] == "queued"
    job_world.hurry(messages)
    assert job_world.deliver(job_world.receive()) == []
    shown = retrieved(job_world, response_id)
    assert (shown["status"], shown["error"]["code"]) == ("failed", "internal_error")
    assert "settings are wrong" in shown["error"]["message"]


def test_a_redelivered_message_is_sent_once(job_world: JobWorld) -> None:
    job_world.provider.scripts = [whole(200, ANSWER)]
    queued(job_world)
    messages = job_world.receive()
    assert job_world.deliver(messages) == job_world.deliver(messages) == []
    assert len(job_world.provider.requests) == 1


def test_an_answer_stored_by_a_killed_invocation_is_not_requested_again(
    job_world: JobWorld,
) -> None:
    response_id = queued(job_world)
    [key] = [key for key in job_world.batch.bucket.keys("responses/") if "request" not in key]
    expired = int(time.time()) - 5
    assert leases.acquire(record_key(OWNER, response_id), "killed", expired, None)[0]
    job_world.batch.bucket.put(key, json.dumps(ANSWER | {"id": response_id}).encode())
    assert job_world.deliver(job_world.receive()) == []
    assert job_world.provider.requests == []
    assert retrieved(job_world, response_id)["output"] == OUTPUT


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"stream": True}, "stream"),
        ({"store": False}, "store"),
        ({"background": "yes"}, "background"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"input": ""}, "input"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0]"),
    ],
)
def test_an_invalid_request_is_refused_before_it_is_queued(
    job_world: JobWorld, fields: dict[str, Any], param: str
) -> None:
    answer = job_world.ask("POST", PATH, ASKED | fields)
    assert (answer.status, answer.error["param"]) == (400, param)
    assert job_world.receive() == []
    assert list(job_world.batch.bucket.keys("")) == []


def test_a_model_that_the_client_may_not_use_is_refused_before_it_is_queued(
    job_world: JobWorld,
) -> None:
    answer = job_world.ask("POST", PATH, ASKED, client={"models": "another"})
    assert (answer.status, answer.error["code"]) == (403, "model_not_allowed")
    assert job_world.receive() == []


def test_the_client_s_cap_is_sent_with_the_request(job_world: JobWorld) -> None:
    job_world.provider.scripts = [whole(200, ANSWER)]
    job_world.ask("POST", PATH, ASKED, client={"max_output_tokens": "50"})
    job_world.deliver(job_world.receive())
    assert json.loads(job_world.provider.requests[0].body)["max_output_tokens"] == 50


def test_without_a_queue_background_is_disabled(job_world: JobWorld) -> None:
    job_world.batch.environment.setenv("JOBS_QUEUE_URL", "")
    answer = job_world.ask("POST", PATH, ASKED)
    assert (answer.status, answer.error["param"]) == (400, "background")
    assert "switched off" in answer.error["message"]


def test_without_sqs_nothing_is_sent_and_the_caller_may_retry(
    job_world: JobWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"{job_world.queue}-gone"
    job_world.batch.environment.setenv("JOBS_QUEUE_URL", url)
    answer = job_world.ask("POST", PATH, ASKED)
    assert (answer.status, answer.error["code"]) == (503, "background_unavailable")
    # SQS may have taken the message anyway.
    assert [item["status"]["S"] for item in job_world.batch.items()] == ["cancelled"]
    assert "Hello" not in capsys.readouterr().out


@pytest.mark.parametrize("background", [False, None])
def test_a_caller_without_background_is_answered_at_once(
    job_world: JobWorld, background: bool | None
) -> None:
    job_world.provider.scripts = [whole(200, RESPONSE)]
    answer = job_world.ask("POST", PATH, INPUT | {"background": background})
    assert (answer.status, answer.json()) == (200, RESPONSE)
    assert job_world.receive() == []


@pytest.fixture
def answers(job_world: JobWorld) -> Iterator[str]:
    """A table for the answers to requests with an Idempotency-Key."""
    name = f"answers-{time.monotonic_ns()}"
    dynamodb().create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )
    job_world.batch.environment.setenv("ANSWERS_TABLE", name)
    stored_answers.cache_clear()
    yield name
    stored_answers.cache_clear()


@pytest.mark.usefixtures("answers")
def test_a_repeat_under_an_idempotency_key_gets_the_same_response(
    job_world: JobWorld,
) -> None:
    headers = {"Idempotency-Key": "k-1"}
    first, again = (job_world.ask("POST", PATH, ASKED, headers=headers) for _ in range(2))
    assert first.json() == again.json()
    assert len(job_world.receive()) == 1


@pytest.mark.parametrize(("method", "tail"), [("GET", ""), ("DELETE", ""), ("POST", "/cancel")])
def test_a_response_of_another_client_is_not_found(
    job_world: JobWorld, method: str, tail: str
) -> None:
    response_id = queued(job_world)
    for wanted in (response_id, "resp_0", "x", "resp_..%2F..%2Fx", "r" * 3000):
        answer = job_world.ask(method, f"{PATH}/{wanted}{tail}", client={"client": "another"})
        assert (answer.status, answer.error["code"]) == (404, "response_not_found")
    assert retrieved(job_world, response_id)["status"] == "queued"


def test_an_expired_response_is_not_found(job_world: JobWorld) -> None:
    job_world.batch.environment.setenv("RESPONSE_SECONDS", "0")
    response_id = queued(job_world)
    for method, tail in (("GET", ""), ("POST", "/cancel"), ("DELETE", "")):
        assert job_world.ask(method, f"{PATH}/{response_id}{tail}").status == 404
    assert job_world.deliver(job_world.receive()) == []
    assert job_world.provider.requests == []


def test_a_background_response_cannot_be_streamed_afterwards(job_world: JobWorld) -> None:
    query = {"stream": "true"}
    path = f"{PATH}/{queued(job_world)}"
    answer = job_world.ask("GET", path, queryStringParameters=query)
    assert (answer.status, answer.error["param"]) == (400, "stream")


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_a_sample_event_for_a_missing_response_is_not_found(job_world: JobWorld, path: Any) -> None:
    from functions.background_responses.handler import handler  # noqa: PLC0415

    assert handler(json.loads(path.read_text()), None)["statusCode"] == 404


@pytest.fixture
def budgeted(accounts: Accounts, job_world: JobWorld) -> Accounts:
    """The accounts of clients whose responses the job world runs."""
    return accounts


LISTING = whole(200, {"object": "list", "data": [LISTED]})
PRICED = ASKED | {"model": MODEL, "max_output_tokens": 1000}


def test_a_response_is_charged_once_to_its_client_s_budget(
    budgeted: Accounts, job_world: JobWorld
) -> None:
    job_world.provider.scripts = [LISTING, whole(200, ANSWER | {"model": MODEL})]
    made = job_world.ask("POST", PATH, PRICED, client=BUDGET).json()
    messages = job_world.receive()
    assert job_world.deliver(messages) == job_world.deliver(messages) == []
    account = budgeted.read()
    assert (account.spent, account.reservations) == (120_000, {})
    assert job_world.take_events()[0] == ("response.completed", {"id": made["id"], "owner": CLIENT})


def test_a_dropped_answer_is_charged_anyway(budgeted: Accounts, job_world: JobWorld) -> None:
    job_world.provider.scripts = [LISTING]
    made = job_world.ask("POST", PATH, PRICED, client=BUDGET).json()
    path = f"{PATH}/{made['id']}/cancel"
    while_it_is_asked(job_world, lambda: job_world.ask("POST", path, client=BUDGET), LISTING)
    assert budgeted.read().spent == 120_000


def test_a_response_beyond_the_budget_fails_and_costs_nothing(
    budgeted: Accounts, job_world: JobWorld
) -> None:
    job_world.provider.scripts = [LISTING]
    poor = BUDGET | {"budget_nanos": "1000"}
    made = job_world.ask("POST", PATH, PRICED, client=poor).json()
    assert job_world.deliver(job_world.receive()) == []
    shown = job_world.ask("GET", f"{PATH}/{made['id']}", client=poor).json()
    assert (shown["status"], shown["error"]["code"]) == ("failed", "budget_exceeded")
    assert [request.path for request in job_world.provider.requests] == ["/v1/models"]
