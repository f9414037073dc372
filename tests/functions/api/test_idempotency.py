"""A request that comes again with its Idempotency-Key: what is paid, stored and replayed."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto.dynamodb.exceptions import MockValidationException
from moto.dynamodb.models import DynamoDBBackend

from functions.chat_completions.handler import handler
from llm_relay.api.api_gateway import ApiRequest
from llm_relay.api.idempotency import records
from llm_relay.api.idempotency.stored_answer import MAX_STORED_BYTES
from llm_relay.aws.dynamodb import dynamodb
from llm_relay.core.answer import HttpAnswer
from llm_relay.core.errors import IdempotencyInProgress, ProviderError
from tests.functions.conftest import Context, proxy_event
from tests.support.dynamodb_proxy import RESET_AFTER_EXECUTION, DynamoDbProxy
from tests.support.payloads import (
    COMPLETED,
    COMPLETION,
    CREATED,
    DONE,
    IN_PROGRESS,
    INPUT,
    QUESTION,
    RESPONSE,
    STREAMED_INPUT,
    STREAMED_QUESTION,
    USAGE,
    delta,
    frame,
)
from tests.support.scripted_provider import (
    CLOSE,
    RESET,
    TIMEOUT_SECONDS,
    stream,
    wait_until,
    whole,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.functions.conftest import Answered
    from tests.support.scripted_provider import ScriptedProvider

    Ask = Callable[..., Answered]

pytestmark = pytest.mark.usefixtures("answers")

WHOLE = (QUESTION, "chat", whole(200, COMPLETION)), (INPUT, "responses", whole(200, RESPONSE))
STREAMED = (
    (STREAMED_QUESTION, "chat", stream(delta("a"), delta("b", "stop"), USAGE, DONE)),
    (STREAMED_INPUT, "responses", stream(CREATED, IN_PROGRESS, COMPLETED, DONE)),
)


@dataclass
class Answers:
    """The table of answers."""

    name: str
    client: Any

    def items(self) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self.client.scan(TableName=self.name)["Items"]
        return items

    def number(self, name: str) -> float:
        """A number of the only record."""
        (item,) = self.items()
        return float(item[name]["N"])

    def set(self, name: str, number: float) -> None:
        """Change a number of the only record, as time would change what it means."""
        (item,) = self.items()
        item[name] = {"N": str(int(number))}
        self.client.put_item(TableName=self.name, Item=item)


@pytest.fixture
def answers(environment: pytest.MonkeyPatch, aws: str) -> Iterator[Answers]:
    session: Any = boto3.Session()  # its type knows services by their literal names
    client = session.client("dynamodb", endpoint_url=aws)
    name = f"answers-{time.monotonic_ns()}"
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )
    environment.setenv("ANSWERS_TABLE", name)
    environment.setenv("UPSTREAM_MAX_ATTEMPTS", "1")
    make_puts_atomic(environment)
    forget_clients()
    yield Answers(name, client)
    forget_clients()
    client.close()


def forget_clients() -> None:
    records.persistence_layer.cache_clear()
    dynamodb.cache_clear()


@pytest.fixture
def writes_fail(environment: pytest.MonkeyPatch) -> None:
    """Records can be made, and neither changed nor deleted."""

    def away(*_: Any, **__: Any) -> None:
        raise MockValidationException("away")

    environment.setattr(DynamoDBBackend, "update_item", away)
    environment.setattr(DynamoDBBackend, "delete_item", away)


def make_puts_atomic(environment: pytest.MonkeyPatch) -> None:
    """Let moto check a condition and write in one step, as DynamoDB does."""
    put_item, lock = DynamoDBBackend.put_item, threading.Lock()

    def put_one_by_one(*args: Any, **more: Any) -> Any:
        with lock:
            return put_item(*args, **more)

    environment.setattr(DynamoDBBackend, "put_item", put_one_by_one)


def keyed(key: str = "key-1", **context: Any) -> dict[str, Any]:
    """What makes an event one with an Idempotency-Key, and of another caller."""
    requested = {"requestId": "request-1", "identity": {"apiKeyId": "client-1"}} | context
    return {"headers": {"Idempotency-Key": key}, "requestContext": requested}


def assert_same(again: Answered, first: Answered) -> None:
    assert "x-relay-replayed" not in first.headers
    assert again.headers["x-relay-replayed"] == "true"
    assert again.headers["content-type"] == first.headers["content-type"]
    assert (again.status, again.body) == (first.status, first.body)


@pytest.mark.parametrize(("payload", "surface", "script"), [*WHOLE, *STREAMED])
def test_a_repeat_returns_the_first_answer_without_calling_the_provider(
    provider: ScriptedProvider,
    ask: Ask,
    payload: Any,
    surface: str,
    script: Any,
) -> None:
    provider.scripts = [script]
    first = ask(payload, surface, **keyed())
    again = ask(payload, surface, **keyed(requestId="request-2"))
    assert first.status == 200
    assert_same(again, first)
    assert len(provider.requests) == 1
    assert again.headers["x-request-id"] == "request-2"
    assert again.headers["x-relay-attempts"] == "0"
    assert "x-relay-cost-usd" not in again.headers


def test_without_the_header_every_request_calls_the_provider_and_nothing_is_stored(
    provider: ScriptedProvider, answers: Answers, ask: Ask
) -> None:
    provider.scripts = [whole(200, COMPLETION)]
    assert "x-relay-replayed" not in (ask(QUESTION).headers | ask(QUESTION).headers)
    assert len(provider.requests) == 2
    assert answers.items() == []


def test_without_the_header_boto3_is_not_even_imported() -> None:
    program = (
        "import sys\n"
        "from llm_relay.api.api_gateway import ApiRequest\n"
        "from llm_relay.api.idempotency.records import answer_once\n"
        "request = ApiRequest(route='POST /', request_id='1', api_key_id='1')\n"
        "assert answer_once(request, 9, lambda: 'answer') == 'answer'\n"
        "assert 'boto3' not in sys.modules and 'botocore.session' not in sys.modules\n"
    )
    path = os.pathsep.join(path for path in sys.path if path)
    environment = {"PYTHONPATH": path}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)  # noqa: S603


@pytest.mark.parametrize("key", ["", "x" * 256, "clé", "a\tb"])
def test_an_invalid_key_is_refused_and_the_header_named(
    provider: ScriptedProvider, ask: Ask, key: str
) -> None:
    answer = ask(QUESTION, **keyed(key))
    assert (answer.status, answer.error["param"]) == (400, "Idempotency-Key")
    assert provider.requests == []


def test_a_key_of_255_characters_is_valid(provider: ScriptedProvider, ask: Ask) -> None:
    provider.scripts = [whole(200, COMPLETION)]
    first = ask(QUESTION, **keyed("~ " * 127 + "x"))
    assert_same(ask(QUESTION, **keyed("~ " * 127 + "x")), first)


def test_the_same_key_with_another_body_is_always_refused(
    provider: ScriptedProvider, ask: Ask
) -> None:
    provider.scripts = [whole(200, COMPLETION)]
    ask(QUESTION, **keyed())
    other = ask(QUESTION | {"temperature": 0.5}, **keyed())
    assert (other.status, other.error["code"]) == (409, "idempotency_key_reused")
    assert other.headers["x-should-retry"] == "false"
    assert len(provider.requests) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"identity": {"apiKeyId": "client-2"}},
        {"authorizer": {"client": "client-1"}},
        {"identity": {"apiKeyId": "client-1"}, "authorizer": {"client": "0123456789ab"}},
    ],
)
def test_clients_have_separate_keys(
    provider: ScriptedProvider, ask: Ask, other: dict[str, Any]
) -> None:
    provider.scripts = [whole(200, COMPLETION)]
    ask(QUESTION, **keyed())
    assert "x-relay-replayed" not in ask(QUESTION, **keyed(**other)).headers
    assert len(provider.requests) == 2


def test_a_client_whose_api_key_is_rotated_keeps_its_answers(
    provider: ScriptedProvider, ask: Ask
) -> None:
    provider.scripts = [whole(200, COMPLETION)]
    client = {"client": "0123456789ab"}
    first = ask(QUESTION, **keyed(identity={"apiKeyId": "old"}, authorizer=client))
    assert_same(ask(QUESTION, **keyed(identity={"apiKeyId": "new"}, authorizer=client)), first)


def test_each_route_has_separate_keys(provider: ScriptedProvider, ask: Ask) -> None:
    provider.scripts = [whole(200, COMPLETION), whole(200, RESPONSE)]
    ask(QUESTION, "chat", **keyed())
    assert ask(INPUT, "responses", **keyed()).json()["object"] == "response"


@pytest.mark.parametrize("payload", [QUESTION, STREAMED_QUESTION])
def test_of_many_concurrent_calls_one_runs_and_the_others_must_wait(
    provider: ScriptedProvider, ask: Ask, payload: Any
) -> None:
    together, gate = threading.Barrier(8), threading.Barrier(2)
    slow = {False: [gate, *whole(200, COMPLETION)], True: stream(delta("a"), gate, DONE)}
    provider.scripts = [slow["stream" in payload]]

    def call(_: int) -> Answered:
        together.wait()
        return ask(payload, **keyed())

    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(call, number) for number in range(8)]
        wait_until(lambda: sum(map(Future.done, calls)) == 7)
        gate.wait(TIMEOUT_SECONDS)
        all_answers = [made.result() for made in calls]
    (first,) = [answer for answer in all_answers if answer.status == 200]
    waiting = [answer for answer in all_answers if answer is not first]
    assert {answer.error["code"] for answer in waiting} == {"idempotency_in_progress"}
    assert {answer.headers["retry-after"] for answer in waiting} == {"1"}
    assert_same(ask(payload, **keyed()), first)
    assert len(provider.requests) == 1


def test_different_body_while_first_call_in_progress_is_rejected(
    provider: ScriptedProvider, ask: Ask
) -> None:
    asked, gate = threading.Event(), threading.Barrier(2)
    provider.scripts = [[asked, gate, *whole(200, COMPLETION)]]
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(ask, QUESTION, **keyed())
        assert asked.wait(TIMEOUT_SECONDS)
        other = ask(QUESTION | {"seed": 1}, **keyed())
        gate.wait(TIMEOUT_SECONDS)
        assert first.result().status == 200
    assert other.error["code"] == "idempotency_key_reused"


def request(**more: Any) -> ApiRequest:
    headers = {"idempotency-key": "key-1"}
    return ApiRequest(route="POST /", request_id="1", api_key_id="1", headers=headers, **more)


def killed() -> HttpAnswer:
    """End as a process does that is killed: nothing more is done."""
    raise SystemExit


def test_a_killed_call_holds_its_key_only_for_the_function_timeout(
    answers: Answers,
) -> None:
    work = HttpAnswer(status=200, headers={}, body=[b"answer"])
    with pytest.raises(SystemExit):
        records.answer_once(request(), 120, killed)
    with pytest.raises(IdempotencyInProgress):
        records.answer_once(request(), 60, lambda: work)
    held_until = answers.number("in_progress_expiration") / 1000
    assert held_until == pytest.approx(time.time() + 120, abs=30)
    answers.set("in_progress_expiration", (time.time() - 1) * 1000)
    assert records.answer_once(request(), 60, lambda: work) is work
    assert list(records.answer_once(request(), 60, killed).body) == [b"answer"]


def test_an_internal_failure_is_not_retried(answers: Answers) -> None:
    def broken() -> HttpAnswer:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        records.answer_once(request(), 60, broken)
    with pytest.raises(ProviderError) as caught:
        records.answer_once(request(), 60, killed)
    assert (caught.value.status, caught.value.code) == (500, "internal_error")


def noise(size: int) -> str:
    """Text that hardly compresses: of its bytes, three quarters remain."""
    return base64.b64encode(os.urandom(size)).decode()


def completion(text: str) -> dict[str, Any]:
    (choice,) = COMPLETION["choices"]
    return COMPLETION | {"choices": [choice | {"message": {"role": "assistant", "content": text}}]}


@pytest.mark.parametrize(
    "text", ["the same again. " * 200_000, noise(MAX_STORED_BYTES - 6000)], ids=["long", "dense"]
)
def test_an_answer_that_fits_compressed_is_replayed(
    provider: ScriptedProvider, ask: Ask, text: str
) -> None:
    provider.scripts = [whole(200, completion(text))]
    first = ask(QUESTION, **keyed())
    assert_same(ask(QUESTION, **keyed()), first)


@pytest.mark.parametrize("streamed", [False, True])
def test_an_answer_too_large_to_store_is_sent_once_and_not_billed_twice(
    provider: ScriptedProvider, ask: Ask, streamed: bool
) -> None:
    pieces = [delta(noise(40_000)) for _ in range(10)]
    huge = stream(*pieces, delta("", "stop"), DONE)
    provider.scripts = [huge if streamed else whole(200, completion(noise(400_000)))]
    payload = STREAMED_QUESTION if streamed else QUESTION
    first, again = ask(payload, **keyed()), ask(payload, **keyed())
    assert first.status == 200
    assert len(first.body) > 400_000
    assert (again.status, again.error["code"]) == (409, "answer_too_large_to_replay")
    assert again.headers["x-should-retry"] == "false"
    assert len(provider.requests) == 1


REFUSED = frame({"error": {"message": "No.", "type": "invalid_request_error", "code": "no"}})


@pytest.mark.parametrize(
    ("payload", "script", "status"),
    [
        *[
            (QUESTION, whole(s, {"error": {"message": "No."}}), s)
            for s in (400, 402, 404, 429, 503)
        ],
        (QUESTION, whole(401, {"error": {"message": "No."}}), 502),
        (QUESTION, whole(200, {"error": {"message": "No.", "code": 402}}), 402),
        (STREAMED_QUESTION, stream(REFUSED), 400),
        (QUESTION | {"messages": "?"}, [CLOSE], 400),
        ("{", [CLOSE], 400),
    ],
)
def test_a_refusal_releases_the_key(
    provider: ScriptedProvider, ask: Ask, payload: Any, script: Any, status: int
) -> None:
    provider.scripts = [script]
    assert ask(payload, **keyed()).status == status
    provider.scripts = [whole(200, COMPLETION)]
    assert ask(QUESTION, **keyed()).status == 200


def test_an_unreachable_provider_releases_the_key(
    provider: ScriptedProvider, answers: Answers, ask: Ask, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("UPSTREAM_BASE_URL", "http://127.0.0.1:1")
    assert ask(QUESTION, **keyed()).error["code"] == "upstream_unreachable"
    assert answers.items() == []


@pytest.mark.usefixtures("short_timeouts")
@pytest.mark.parametrize(
    ("payload", "script", "expected"),
    [
        (QUESTION, [RESET], (502, "upstream_error")),
        (QUESTION, whole(200, b"{"), (502, "upstream_error")),
        (QUESTION, [30], (504, "upstream_timeout")),
        (STREAMED_QUESTION, stream(), (502, "upstream_error")),
        (STREAMED_QUESTION, [30], (504, "upstream_timeout")),
    ],
)
def test_a_possibly_billed_failure_is_replayed_and_not_retried(
    warm: ScriptedProvider,
    ask: Ask,
    payload: Any,
    script: Any,
    expected: tuple[int, str],
) -> None:
    warm.scripts = [script]
    first, again = ask(payload, **keyed()), ask(payload, **keyed())
    assert_same(again, first)
    assert (again.status, again.error["code"]) == expected
    assert again.headers["x-should-retry"] == "false"
    assert len(warm.requests) == 1


@pytest.mark.parametrize("end", [CLOSE, frame({"error": {"message": "Overloaded."}})])
def test_an_interrupted_stream_is_replayed_with_its_error_event(
    provider: ScriptedProvider, ask: Ask, end: Any
) -> None:
    provider.scripts = [stream(delta("a"), end, end=False)]
    first, again = ask(STREAMED_QUESTION, **keyed()), ask(STREAMED_QUESTION, **keyed())
    assert_same(again, first)
    assert b'"error"' in again.body
    assert b"[DONE]" not in again.body
    assert len(provider.requests) == 1


@pytest.mark.parametrize("taken", [0, 1])
def test_a_stream_that_its_caller_left_is_neither_replayed_nor_billed_again(
    provider: ScriptedProvider, ask: Ask, taken: int
) -> None:
    provider.scripts = [stream(delta("a"), 30, delta("b", "stop"), DONE)]
    event = proxy_event("POST", "/v1/chat/completions", STREAMED_QUESTION, **keyed())
    response = handler(event, Context(60, time.monotonic()))
    for _ in range(taken):
        next(response.body)
    response.close()
    again = ask(STREAMED_QUESTION, **keyed())
    assert (again.status, again.error["code"]) == (409, "answer_incomplete")
    assert len(provider.requests) == 1


def test_an_answer_is_stored_for_as_long_as_configured(
    provider: ScriptedProvider, answers: Answers, ask: Ask, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("IDEMPOTENCY_SECONDS", "7200")
    provider.scripts = [whole(200, COMPLETION)]
    ask(QUESTION, **keyed())
    assert answers.number("expiration") == pytest.approx(time.time() + 7200, abs=60)
    answers.set("expiration", time.time() - 2)
    assert "x-relay-replayed" not in ask(QUESTION, **keyed()).headers
    assert len(provider.requests) == 2


def test_no_setting_lets_a_key_expire_while_its_call_is_in_progress(
    answers: Answers, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("IDEMPOTENCY_SECONDS", "1")
    with pytest.raises(SystemExit):
        records.answer_once(request(), 890, killed)
    assert answers.number("expiration") > time.time() + 840


@pytest.mark.parametrize("away", ["ANSWERS_TABLE", "AWS_ENDPOINT_URL_DYNAMODB"])
def test_without_the_key_table_nothing_is_sent(
    provider: ScriptedProvider,
    ask: Ask,
    environment: pytest.MonkeyPatch,
    away: str,
) -> None:
    environment.setenv(away, "http://127.0.0.1:1" if "URL" in away else "no-such-table")
    answer = ask(QUESTION, **keyed())
    assert (answer.status, answer.error["code"]) == (503, "idempotency_unavailable")
    assert provider.requests == []


def test_a_key_whose_write_reply_was_lost_is_not_in_use(
    environment: pytest.MonkeyPatch, aws: str, provider: ScriptedProvider, ask: Ask
) -> None:
    provider.scripts = [whole(200, COMPLETION)]
    faults = iter([RESET_AFTER_EXECUTION])
    with DynamoDbProxy(aws, fault=lambda _operation: next(faults, None)) as dynamodb_proxy:
        environment.setenv("AWS_ENDPOINT_URL_DYNAMODB", dynamodb_proxy.url)
        first, again = ask(QUESTION, **keyed()), ask(QUESTION, **keyed())
    assert dynamodb_proxy.operations[:2] == ["PutItem", "PutItem"]
    assert first.status == 200
    assert_same(again, first)
    assert len(provider.requests) == 1


@pytest.mark.usefixtures("writes_fail")
@pytest.mark.parametrize("payload", [QUESTION, STREAMED_QUESTION])
def test_an_answer_that_cannot_be_stored_is_sent_and_its_key_stays_in_use(
    provider: ScriptedProvider,
    answers: Answers,
    ask: Ask,
    capsys: pytest.CaptureFixture[str],
    payload: Any,
) -> None:
    provider.scripts = [stream(delta("a", "stop"), DONE) if "stream" in payload else WHOLE[0][2]]
    assert ask(payload, **keyed()).status == 200
    assert '"error":"ClientError"' in capsys.readouterr().out
    assert ask(payload, **keyed()).error["code"] == "idempotency_in_progress"
    answers.set("in_progress_expiration", (time.time() - 1) * 1000)
    assert ask(payload, **keyed()).status == 200
    assert len(provider.requests) == 2


@pytest.mark.usefixtures("writes_fail")
def test_a_refusal_is_sent_although_its_key_cannot_be_released(
    provider: ScriptedProvider, ask: Ask
) -> None:
    provider.scripts = [whole(400, {"error": {"message": "No."}})]
    assert ask(QUESTION, **keyed()).status == 400


def test_no_prompt_answer_or_key_is_in_the_log_or_readable_in_the_table(
    provider: ScriptedProvider, answers: Answers, ask: Ask, capsys: pytest.CaptureFixture[str]
) -> None:
    provider.scripts = [whole(200, completion("canary-answer"))]
    question = QUESTION | {"messages": [{"role": "user", "content": "canary-prompt"}]}
    ask(question, **keyed("canary-key"))
    ask(question, **keyed("canary-key"))
    ask(QUESTION, **keyed("canary-key"))
    assert "canary" not in capsys.readouterr().out + json.dumps(answers.items())


def test_a_repeat_is_logged_as_one_and_at_no_cost(
    provider: ScriptedProvider, ask: Ask, capsys: pytest.CaptureFixture[str]
) -> None:
    provider.scripts = [whole(200, COMPLETION)]
    ask(QUESTION, **keyed())
    capsys.readouterr()
    ask(QUESTION, **keyed())
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (line,) = [line for line in lines if line.get("message") == "request"]
    assert (line["replayed"], line["status"], line["attempts"]) == (True, 200, 0)
    assert "cost_usd" not in line
