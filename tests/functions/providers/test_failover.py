"""Several providers: which one replaces which, and when none may."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from functions.chat_completions.handler import handler as chat
from functions.doctor.handler import handler as doctor
from functions.models.handler import handler as models
from tests.functions.conftest import Answered, Context, proxy_event, taken
from tests.support.ledger_accounts import CLIENT, Accounts
from tests.support.payloads import COMPLETION, QUESTION, STREAMED_QUESTION, frame
from tests.support.provider_pair import DOWN, FIRST_KEY, NO, OK, SECOND_KEY
from tests.support.scripted_provider import CLOSE, RESET, stream, whole

if TYPE_CHECKING:
    from tests.support.provider_pair import Pair
    from tests.support.scripted_provider import Script

CHUNK = frame(
    {
        "id": "c",
        "object": "chat.completion.chunk",
        "model": "m",
        "choices": [{"index": 0, "delta": {"content": "Hi"}}],
    }
)
DONE = b"data: [DONE]\n\n"
STREAM = stream(CHUNK, DONE)
PLENTY = {"budget_nanos": str(10**12), "budget_per": "day"}
NO_MODEL = {
    "error": {
        "message": "no such model",
        "type": "invalid_request_error",
        "code": "model_not_found",
    }
}


def ask(body: dict[str, Any], **limits: str) -> Answered:
    event = proxy_event("POST", "/v1/chat/completions", body)
    if limits:
        client = {"principalId": "p", "client": CLIENT}
        event["requestContext"]["authorizer"] = client | limits
    return taken(chat(event, Context(60, time.monotonic())))


def listed(*models: dict[str, Any]) -> Script:
    return whole(200, {"object": "list", "data": list(models)})


def priced(name: str, usd: str) -> dict[str, Any]:
    pricing = {"prompt": usd, "completion": usd}
    return {"id": name, "object": "model", "pricing": pricing, "max_output_length": 100}


def test_the_first_provider_answers_as_long_as_it_can(pair: Pair) -> None:
    answer = ask(QUESTION)
    assert (answer.status, pair.requests_received) == (200, [1, 0])
    assert answer.headers["x-relay-provider"] == pair.names[0]
    assert pair.first.requests[0].headers["authorization"] == f"Bearer {FIRST_KEY}"


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("status", [402, 408, 429, 500, 503])
def test_an_unbilled_refusal_fails_over_at_once(pair: Pair, status: int, streamed: bool) -> None:
    pair.first.scripts = [whole(status, NO, retry_after="1")]
    pair.second.scripts = [STREAM if streamed else OK]
    answer = ask(STREAMED_QUESTION if streamed else QUESTION)
    assert (answer.status, pair.requests_received) == (200, [1, 1])
    assert answer.headers["x-relay-provider"] == pair.names[1]
    assert answer.headers["x-relay-attempts"] == "2"
    sent = [provider.requests[0].headers["authorization"] for provider in (pair.first, pair.second)]
    assert sent == [f"Bearer {FIRST_KEY}", f"Bearer {SECOND_KEY}"]


def test_an_unreachable_provider_fails_over(pair: Pair) -> None:
    pair.change_entries({"base_url": DOWN})
    answer = ask(QUESTION)
    assert (answer.status, pair.requests_received) == (200, [0, 1])


def test_a_rejected_or_missing_key_fails_over(pair: Pair) -> None:
    pair.first.scripts = [whole(401, NO)]
    assert (ask(QUESTION).status, pair.requests_received) == (200, [1, 1])
    pair.change_entries({"secret_arn": "arn:aws:secretsmanager:us-east-1:123456789012:secret:gone"})
    assert (ask(QUESTION).status, pair.requests_received) == (200, [1, 2])


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("script", "status"),
    [
        ([RESET], 502),
        ([CLOSE], 502),
        (whole(200, b'{"choices": [', content_length="99") + [CLOSE], 502),
        (whole(400, NO), 400),
        (whole(403, NO), 403),
        (whole(404, NO), 404),
        (whole(422, NO), 422),
        (whole(503, NO, x_should_retry="false"), 503),
    ],
)
def test_possibly_billed_and_client_errors_do_not_fail_over(
    pair: Pair, script: Script, status: int, streamed: bool
) -> None:
    pair.first.scripts = [script]
    answer = ask(STREAMED_QUESTION if streamed else QUESTION)
    assert (answer.status, pair.requests_received) == (status, [1, 0])
    assert answer.headers["x-relay-provider"] == pair.names[0]


def test_a_timeout_is_possibly_billed_and_does_not_fail_over(pair: Pair) -> None:
    pair.environment.setenv("UPSTREAM_IDLE_SECONDS", "0.3")
    pair.first.scripts = [[600]]
    pair.change_entries()
    assert (ask(QUESTION).status, pair.requests_received) == (504, [1, 0])


def test_a_stream_refused_in_its_first_event_fails_over(pair: Pair) -> None:
    pair.first.scripts = [stream(frame(NO))]
    pair.second.scripts = [STREAM]
    answer = ask(STREAMED_QUESTION)
    assert (answer.status, pair.requests_received) == (200, [1, 1])
    assert b"Hi" in answer.body


def test_a_stream_that_has_begun_stays_with_its_provider(pair: Pair) -> None:
    pair.first.scripts = [stream(CHUNK, CLOSE, end=False)]
    answer = ask(STREAMED_QUESTION)
    assert (answer.status, pair.requests_received) == (200, [1, 0])
    assert b"upstream_error" in answer.body


def test_the_last_provider_gets_every_retry(pair: Pair) -> None:
    pair.change_entries({"base_url": DOWN})
    pair.second.scripts = [whole(500, NO, retry_after="0"), OK]
    assert (ask(QUESTION).status, pair.requests_received) == (200, [0, 2])


def test_a_returned_retry_after_comes_with_its_provider_s_name(pair: Pair) -> None:
    pair.environment.setenv("UPSTREAM_MAX_ATTEMPTS", "1")
    pair.first.scripts = [whole(429, NO, retry_after="7")]
    pair.change_entries(second={"base_url": DOWN})
    answer = ask(QUESTION)
    assert (answer.status, answer.headers["retry-after"]) == (429, "7")
    assert answer.headers["x-relay-provider"] == pair.names[0]


def test_the_log_names_the_provider_whose_failure_is_returned(
    pair: Pair, capsys: pytest.CaptureFixture[str]
) -> None:
    pair.first.scripts = pair.second.scripts = [whole(503, NO, retry_after="600")]
    answer = ask(QUESTION)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    logged = [line["provider"] for line in lines if line.get("message") == "request"]
    assert [answer.headers["x-relay-provider"]] == logged == [pair.names[0]]


@pytest.mark.parametrize("most", ["1", "3"])
def test_each_key_of_a_provider_is_tried_before_the_next_provider(
    pair: Pair, aws: str, most: str
) -> None:
    client = boto3.client("secretsmanager", endpoint_url=aws)
    keys = json.dumps({"api_keys": [f"key-number-{number}" for number in range(5)]})
    client.put_secret_value(SecretId=pair.entries[0]["secret_arn"], SecretString=keys)
    client.close()
    pair.environment.setenv("UPSTREAM_MAX_ATTEMPTS", most)
    pair.first.scripts = [whole(429, NO)]
    pair.change_entries()
    assert (ask(QUESTION).status, pair.requests_received) == (200, [5, 1])
    assert len({request.headers["authorization"] for request in pair.first.requests}) == 5


def test_when_no_provider_answers_the_first_failure_is_returned(pair: Pair) -> None:
    pair.environment.setenv("UPSTREAM_MAX_ATTEMPTS", "1")
    pair.first.scripts = [whole(503, NO | {"error": {"message": "the first is down"}})]
    pair.second.scripts = [whole(404, NO_MODEL)]
    pair.change_entries()
    answer = ask(QUESTION)
    assert (answer.status, answer.error["message"].split(".")[0]) == (503, "the first is down")


def test_each_provider_is_sent_its_own_model_name(pair: Pair) -> None:
    pair.first.scripts = [whole(500, NO)]
    pair.change_entries({"models": {"good": "first-good"}}, {"models": {"good": "second/good"}})
    assert ask(QUESTION | {"model": "good"}).status == 200
    sent = [json.loads(p.requests[0].body)["model"] for p in (pair.first, pair.second)]
    assert sent == ["first-good", "second/good"]


def test_a_provider_without_the_model_is_skipped(pair: Pair) -> None:
    pair.change_entries({"models": {"other": "other"}})
    assert (ask(QUESTION).status, pair.requests_received) == (200, [0, 1])
    pair.change_entries({"models": {QUESTION["model"]: "gone"}})
    pair.first.scripts = [whole(404, NO_MODEL)]
    assert (ask(QUESTION).status, pair.requests_received) == (200, [1, 2])


def test_a_model_that_no_provider_has_is_not_found_without_a_call(pair: Pair) -> None:
    pair.change_entries({"models": {"a": "a"}}, {"models": {"b": "b"}})
    answer = ask(QUESTION)
    assert (answer.status, answer.error["code"], pair.requests_received) == (
        404,
        "model_not_found",
        [0, 0],
    )


def test_each_provider_is_sent_its_own_dialect(pair: Pair) -> None:
    pair.change_entries({"dialect": "abliteration"})
    pair.first.scripts = [whole(500, NO)]
    assert ask(QUESTION | {"max_completion_tokens": 9}).status == 200
    fields = [json.loads(p.requests[0].body).keys() for p in (pair.first, pair.second)]
    assert ["max_tokens" in sent for sent in fields] == [True, False]


def test_a_request_that_one_dialect_cannot_express_goes_to_the_other_provider(pair: Pair) -> None:
    pair.change_entries({"dialect": "abliteration"})
    assert (ask(QUESTION | {"instructions": "Be brief."}).status, pair.requests_received) == (
        200,
        [0, 1],
    )


def test_a_request_that_a_strict_dialect_refuses_goes_to_the_other_provider(pair: Pair) -> None:
    pair.change_entries({"dialect": "abliteration"})
    assert (ask(QUESTION | {"tools": {}}).status, pair.requests_received) == (200, [0, 1])
    pair.change_entries(second={"dialect": "abliteration"})
    answer = ask(QUESTION | {"tools": {}})
    assert (answer.status, answer.error["param"], pair.requests_received) == (400, "tools", [0, 1])


def test_the_models_of_all_providers_are_listed_once(pair: Pair) -> None:
    pair.first.scripts = [listed(priced("own-name", "1"))]
    pair.second.scripts = [listed(priced("shared", "1"), priced("theirs", "2"))]
    pair.change_entries({"models": {"shared": "own-name", "hidden": "not-listed"}})
    answer = taken(models(proxy_event("GET", "/v1/models"), Context(27, time.monotonic())))
    assert [each["id"] for each in answer.json()["data"]] == ["shared", "hidden", "theirs"]
    assert answer.json()["data"][0]["pricing"] == {"prompt": "1", "completion": "1"}
    assert answer.json()["data"][1]["owned_by"] == pair.names[0]


def test_an_unavailable_model_list_leaves_the_others(pair: Pair) -> None:
    pair.second.scripts = [listed(priced("theirs", "2"))]
    pair.change_entries({"base_url": DOWN})
    answer = taken(models(proxy_event("GET", "/v1/models"), Context(27, time.monotonic())))
    assert [each["id"] for each in answer.json()["data"]] == ["theirs"]


def test_a_model_list_that_never_arrives_leaves_time_for_the_others(pair: Pair) -> None:
    pair.first.scripts = [[600]]
    pair.second.scripts = [listed(priced("theirs", "2"))]
    answer = taken(models(proxy_event("GET", "/v1/models"), Context(14, time.monotonic())))
    assert [each["id"] for each in answer.json()["data"]] == ["theirs"]
    assert len(pair.first.requests) == 1


def test_a_failed_model_list_is_not_retried_if_there_are_other_providers(pair: Pair) -> None:
    pair.first.scripts = [whole(503, NO, retry_after="0")]
    pair.second.scripts = [listed(priced("theirs", "2"))]
    answer = taken(models(proxy_event("GET", "/v1/models"), Context(27, time.monotonic())))
    assert (answer.status, len(pair.first.requests)) == (200, 1)


def test_the_most_expensive_provider_is_reserved_for_and_the_serving_one_charged(
    pair: Pair, accounts: Accounts
) -> None:
    bare = {name: value for name, value in COMPLETION.items() if name != "estimated_cost_usd"}
    model = QUESTION["model"]
    pair.first.scripts = [listed(priced("cheap", "0.000001")), whole(500, NO)]
    pair.second.scripts = [listed(priced(model, "0.001")), whole(200, bare)]
    pair.change_entries({"models": {model: "cheap"}})
    answer = ask(QUESTION | {"max_tokens": 10}, **PLENTY)
    assert (answer.status, answer.headers["x-relay-cost-usd"]) == (200, "0.03")
    assert accounts.read().spent == 30_000_000
    tight = {"budget_nanos": str(10**7), "budget_per": "month"}
    refused = ask(QUESTION | {"max_tokens": 10}, **tight)
    assert (refused.status, refused.error["code"]) == (402, "budget_exceeded")
    assert pair.requests_received == [1, 1]


def test_a_provider_without_a_price_is_skipped_for_a_client_with_a_budget(
    pair: Pair, accounts: Accounts
) -> None:
    pair.first.scripts = [listed(), OK]
    pair.second.scripts = [listed(priced(QUESTION["model"], "0.001")), OK]
    assert ask(QUESTION | {"max_tokens": 10}, **PLENTY).status == 200
    assert pair.requests_received == [0, 1]
    assert accounts.read().reservations == {}


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("[{", "not JSON"),
        ("[]", "at least one provider"),
        ('[{"name": "a"}]', r"Providers[0].base_url"),
        ('[{"name": "A b", "base_url": "https://a"}]', "Providers[0].name"),
        ('[{"name": "a", "base_url": "a"}]', "Providers[0].base_url"),
        ('[{"name": "a", "base_url": "https://a", "url": 1}]', "'url'"),
        ('[{"name": "a", "base_url": "https://a", "dialect": "x"}]', "Providers[0].dialect"),
        ('[{"name": "a", "base_url": "https://a", "secret_arn": "x"}]', "Providers[0].secret_arn"),
        ('[{"name": "a", "base_url": "https://a", "models": ["x"]}]', "Providers[0].models"),
        ('[{"name": "a", "base_url": "https://a"}, {"name": "a", "base_url": "https://b"}]', "two"),
    ],
)
def test_an_invalid_provider_list_is_reported(pair: Pair, said: str, reason: str) -> None:
    pair.environment.setenv("PROVIDERS", said)
    answer = ask(QUESTION)
    assert (answer.status, answer.error["code"]) == (500, "internal_error")
    assert reason in answer.error["message"]


def test_the_doctor_checks_every_provider(pair: Pair) -> None:
    answers = [listed(priced("m", "1")), STREAM]
    pair.first.scripts = answers
    pair.second.scripts = [listed(), whole(401, NO)]
    pair.change_entries({"models": {"good": "m"}}, {"models": {"good": "m"}})
    report = doctor({}, Context(90, time.monotonic()))
    states = {check["name"]: check["state"] for check in report["checks"]}
    assert states["settings"] == "ok"
    found = [states[f"{what} of {name}"] for name in pair.names for what in ("secret", "model")]
    assert found == ["ok", "ok", "ok", "not checked"]
    assert states[f"provider key of {pair.names[1]}"] == "fail"
