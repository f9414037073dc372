"""An Idempotency-Key through the whole stack, with the official client."""

from __future__ import annotations

import os
import signal
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import openai
import pytest

from tests.e2e.openai_python.callers import callers_of
from tests.e2e.openai_python.surfaces import Chat, Responses
from tests.e2e.variants import ASK, MODEL, TEXT
from tests.support.scripted_provider import wait_until

if TYPE_CHECKING:
    from tests.e2e.conftest import Running
    from tests.e2e.openai_python.callers import Caller

caller = callers_of(Chat, Responses)


def keyed(key: str | None = None) -> dict[str, Any]:
    return {"extra_headers": {"Idempotency-Key": key or str(uuid.uuid4())}}


def request_fields(model: str = MODEL) -> dict[str, Any]:
    return {"model": model, **Chat().request_fields(ASK)}


def create(client: openai.OpenAI, question: dict[str, Any]) -> Any:
    return client.chat.completions.create(**question)


def paid_calls(running: Running) -> int:
    return sum(call.path != "/v1/models" for call in running.provider.calls)


def test_a_repeated_call_is_one_call_with_one_answer(running: Running, caller: Caller) -> None:
    question = {"model": MODEL, **caller.surface.request_fields(ASK), **keyed()}
    running.provider.calls.clear()
    first, again = caller.raw(**question), caller.raw(**question)
    assert caller.surface.text(first.parse()) == TEXT
    assert again.content == first.content
    assert again.headers["x-relay-replayed"] == "true"
    assert paid_calls(running) == 1


def test_a_repeated_stream_is_one_call_and_the_same_events(
    running: Running, caller: Caller
) -> None:
    question = {"model": MODEL, **caller.surface.request_fields(ASK), **keyed()}
    running.provider.calls.clear()
    first = caller.events(**question)
    again = until_it_is_kept(lambda: caller.events(**question))
    assert caller.surface.text_of_events(first) == TEXT
    assert again == first
    headers = caller.stream_headers(**question)
    assert headers["x-relay-replayed"] == "true"
    assert headers["content-type"] == "text/event-stream"
    assert paid_calls(running) == 1


def until_it_is_kept(ask: Any) -> Any:
    """Ask again as the client would by itself: it stops reading before the stream is over."""
    for _ in range(300):
        try:
            return ask()
        except openai.ConflictError as error:
            assert error.code == "idempotency_in_progress"
            assert error.response.headers["retry-after"] == "1"
            time.sleep(0.2)
    raise AssertionError


def test_concurrent_calls_with_one_key_get_the_same_answer(running: Running) -> None:
    question = request_fields(f"{MODEL}@latency=0.5") | keyed()
    running.provider.calls.clear()
    with running.client(max_retries=10) as client, ThreadPoolExecutor(6) as pool:
        calls = [pool.submit(create, client, question) for _ in range(6)]
        answers = [call.result() for call in calls]
    assert all(answer == answers[0] for answer in answers)
    assert paid_calls(running) == 1


def test_the_same_key_with_another_body_is_a_conflict(client: openai.OpenAI) -> None:
    key = keyed()
    create(client, request_fields() | key)
    with pytest.raises(openai.ConflictError) as refused:
        create(client, request_fields() | key | {"seed": 1})
    assert refused.value.code == "idempotency_key_reused"


def test_the_answer_to_a_disconnected_caller_is_stored_for_the_repeat(
    running: Running, client: openai.OpenAI
) -> None:
    question = request_fields(f"{MODEL}@chunk-delay=0.1") | keyed()
    running.provider.calls.clear()
    with create(client, question | {"stream": True}) as stream:
        next(iter(stream))
    chunks = until_it_is_kept(lambda: list(create(client, question | {"stream": True})))
    assert Chat().text_of_events(chunks) == TEXT
    assert paid_calls(running) == 1


def test_a_killed_functions_key_is_released_after_the_function_timeout(
    running: Running, client: openai.OpenAI
) -> None:
    question = request_fields(f"{MODEL}@latency=2") | keyed()
    running.provider.calls.clear()
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(create, client, question)
        wait_until(lambda: paid_calls(running) == 1)
        kill(running, "ChatCompletionsFunction")
        assert isinstance(call.exception(60), openai.InternalServerError)
    with pytest.raises(openai.ConflictError) as refused:
        create(client, question)
    assert refused.value.code == "idempotency_in_progress"
    let_time_pass(running)
    assert Chat().text(create(client, question)) == TEXT


def kill(running: Running, logical_id: str) -> None:
    """Kill the process that is at work, as Lambda does with one that takes too long."""
    for environment in list(running.stack.functions[logical_id]._environments):
        if environment.api.current:
            os.kill(environment._process.pid, signal.SIGKILL)


def let_time_pass(running: Running) -> None:
    """Put every call in progress back by the longest that a function may take."""
    table, dynamodb = running.stack.template.ref("AnswersTable"), running.stack.aws("dynamodb")
    for item in dynamodb.scan(TableName=table)["Items"]:
        if item["status"]["S"] == "INPROGRESS":
            until = int(item["in_progress_expiration"]["N"]) - 900_000
            item["in_progress_expiration"] = {"N": str(until)}
            dynamodb.put_item(TableName=table, Item=item)
