"""The official Python client against the whole stack."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import boto3
import openai
import pytest
import requests

if TYPE_CHECKING:
    from tests.e2e.conftest import Running

MODEL = "abliterated-model"
MESSAGES: Any = [{"role": "user", "content": "Reply with: it works"}]


def test_a_chat_completion(client: openai.OpenAI) -> None:
    completion = client.chat.completions.create(model=MODEL, messages=MESSAGES)
    assert completion.choices[0].message.content == "it works"
    assert completion.usage
    assert completion._request_id


def test_a_streamed_chat_completion(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True)
    text = [choice.delta.content or "" for chunk in stream for choice in chunk.choices]
    assert "".join(text) == "it works"
    assert len([part for part in text if part]) > 1


def test_a_response(client: openai.OpenAI) -> None:
    response = client.responses.create(model=MODEL, input="Reply with: it works")
    assert response.output_text == "it works"
    assert response.status == "completed"


def test_a_streamed_response(client: openai.OpenAI) -> None:
    events = list(client.responses.create(model=MODEL, input=MESSAGES, stream=True))
    text = "".join(e.delta for e in events if e.type == "response.output_text.delta")
    assert text == "it works"
    assert events[-1].type == "response.completed"


def test_the_stream_helper_of_responses(client: openai.OpenAI) -> None:
    with client.responses.stream(model=MODEL, input=MESSAGES) as stream:
        assert stream.get_final_response().output_text == "it works"


def test_the_models(client: openai.OpenAI) -> None:
    models = [model.id for model in client.models.list()]
    assert MODEL in models
    assert client.models.retrieve(MODEL).id == MODEL
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("nothing")


def test_a_wrong_key_is_an_authentication_error(running: Running) -> None:
    stranger = running.client(api_key="sk-relay-another-client-00000000000")
    with stranger, pytest.raises(openai.AuthenticationError) as error:
        stranger.chat.completions.create(model=MODEL, messages=MESSAGES)
    assert error.value.code == "invalid_api_key"


def test_a_missing_key_is_an_authentication_error(client: openai.OpenAI) -> None:
    anonymous: Any = {"Authorization": openai.Omit()}
    with pytest.raises(openai.AuthenticationError, match="Bearer"):
        client.responses.create(model=MODEL, input="x", extra_headers=anonymous)


@pytest.mark.parametrize("path", ["/chat/completions", "/responses", "/models", "/models/x"])
def test_no_route_is_open_without_a_key(running: Running, path: str) -> None:
    method = "GET" if path.startswith("/models") else "POST"
    answer = requests.request(method, running.base_url + path, json={}, timeout=30)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")


def test_health_is_open_and_an_unknown_route_is_explained(running: Running) -> None:
    assert requests.get(f"{running.stack.base_url}/health", timeout=30).json() == {"status": "ok"}
    answer = requests.post(f"{running.stack.base_url}/chat/completions", timeout=30)
    assert answer.status_code == 404
    assert "/v1" in answer.json()["error"]["message"]


@pytest.mark.parametrize("stream", [False, True])
def test_an_unknown_model_is_a_bad_request_that_says_what_to_do(
    client: openai.OpenAI, stream: bool
) -> None:
    with pytest.raises(openai.BadRequestError, match="models"):
        client.chat.completions.create(model="nothing", messages=MESSAGES, stream=stream)


def test_bad_bodies_are_bad_requests_and_reach_no_provider(running: Running) -> None:
    running.provider.calls.clear()
    messages: Any = "Hello"
    with running.client() as client:
        with pytest.raises(openai.BadRequestError, match="messages") as error:
            client.chat.completions.create(model=MODEL, messages=messages)
        assert error.value.param == "messages"
        with pytest.raises(openai.BadRequestError, match="not valid JSON"):
            client.post("/chat/completions", content=b"{oops", cast_to=object)
        with pytest.raises(openai.BadRequestError, match="'input'"):
            client.responses.create(model=MODEL, input=[])
    assert running.provider.calls == []


def test_a_rate_limit_of_the_provider_arrives_with_its_retry_after(client: openai.OpenAI) -> None:
    model = f"{MODEL}@status=429;retry-after=37"
    with pytest.raises(openai.RateLimitError) as error:
        client.chat.completions.create(model=model, messages=MESSAGES)
    assert error.value.response.headers["retry-after"] == "37"


def test_two_rate_limits_and_an_answer_are_one_answer(
    running: Running, client: openai.OpenAI
) -> None:
    running.provider.calls.clear()
    model = f"{MODEL}@status=429;retry-after=1;times=2;id=two-rate-limits"
    raw = client.chat.completions.with_raw_response.create(model=model, messages=MESSAGES)
    assert raw.headers["x-relay-attempts"] == "3"
    assert raw.parse().choices[0].message.content == "it works"
    assert [call.status for call in running.provider.calls] == [429, 429, 200]


@pytest.mark.parametrize("fault", ["cut", "silent-close"])
def test_a_connection_closed_mid_stream_is_an_error_and_no_end(
    client: openai.OpenAI, fault: str
) -> None:
    model = f"{MODEL}@fault={fault}"
    parts = []
    with pytest.raises(openai.APIError, match="broke off|too early"):
        for chunk in client.chat.completions.create(model=model, messages=MESSAGES, stream=True):
            parts += [choice.delta.content or "" for choice in chunk.choices]
    assert "".join(parts) != "it works"
    assert "".join(parts)
    events = list(client.responses.create(model=model, input="Reply with: it works", stream=True))
    assert events[-1].type == "response.failed"


def test_no_caller_notices_a_rotated_provider_key(running: Running) -> None:
    secrets = boto3.client(
        "secretsmanager",
        endpoint_url=running.stack.aws_endpoint_url,
        region_name="us-east-1",
        aws_access_key_id="local",
        aws_secret_access_key="local",
    )
    secret = running.stack.template.physical_ids["ProviderKeySecret"]
    with running.client() as client:
        client.chat.completions.create(model=MODEL, messages=MESSAGES)
        running.provider.key = "ak_rotated_00000000000000000000"
        secrets.put_secret_value(SecretId=secret, SecretString=running.provider.key)
        client.chat.completions.create(model=MODEL, messages=MESSAGES)
        list(client.responses.create(model=MODEL, input="x", stream=True))
        client.models.list()
    secrets.close()


def test_the_first_chunk_comes_while_the_provider_still_writes(client: openai.OpenAI) -> None:
    question: Any = [{"role": "user", "content": "Reply with: one two three four five"}]
    list(client.chat.completions.create(model=MODEL, messages=question, stream=True))
    model = f"{MODEL}@chunks=10;chunk-delay=0.6;keep-alive=none"
    first, whole = times(client, model, question)
    assert whole - first > 0.3  # of 5.4, as much of which a busy machine may take before the first


def times(client: openai.OpenAI, model: str, messages: Any) -> tuple[float, float]:
    started = time.monotonic()
    stream = client.chat.completions.create(model=model, messages=messages, stream=True)
    for chunk in stream:
        if chunk.choices and chunk.choices[0].delta.content:
            break
    first = time.monotonic() - started
    list(stream)
    return first, time.monotonic() - started
