"""Errors, model lists, keys and rate limits of the simulator."""

import email.utils
import time
from typing import Any

import pytest

from local.provider_simulator.server import DEFAULT_KEY
from tests.local.provider_simulator.provider_caller import MODEL, TIMEOUT_SECONDS, ProviderCaller

USER = [{"role": "user", "content": "hello"}]
IMAGE = {"type": "image_url", "image_url": {"url": "https://x.org/a.png"}}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {}}}


@pytest.mark.parametrize(
    ("fields", "status", "param"),
    [
        ({"messages": "hello"}, 400, "messages"),
        ({"messages": None}, 400, "messages"),
        ({"messages": []}, 400, "messages"),
        ({"messages": ["hello"]}, 400, "messages[0]"),
        ({"messages": [{"role": "robot", "content": "x"}]}, 400, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, 400, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, 400,
         "messages[0].content[0].text"),
        ({"messages": [{"role": "user", "content": [{"type": "sound"}]}]}, 400,
         "messages[0].content[0].type"),
        ({"model": None}, 400, "model"),
        ({"model": "gpt-4o"}, 400, "model"),
        ({"max_completion_tokens": 5}, 422, "max_completion_tokens"),
        ({"top_k": 5}, 422, "top_k"),
        ({"temperature": 2.1}, 400, "temperature"),
        ({"temperature": "hot"}, 400, "temperature"),
        ({"temperature": 1.1, "model": "abliterated-model-large"}, 400, "temperature"),
        ({"top_p": 1.5}, 400, "top_p"),
        ({"n": 0}, 400, "n"),
        ({"max_tokens": 0}, 400, "max_tokens"),
        ({"max_tokens": 1.5}, 400, "max_tokens"),
        ({"presence_penalty": -3}, 400, "presence_penalty"),
        ({"stop": 5}, 400, "stop"),
        ({"stream": "yes"}, 400, "stream"),
        ({"reasoning_effort": "huge"}, 400, "reasoning_effort"),
        ({"response_format": "json"}, 400, "response_format"),
        ({"tools": [{"type": "function"}]}, 400, "tools[0]"),
        ({"tools": [TOOL], "web_search_options": {"a": 1}}, 400, "web_search_options"),
        ({"functions": [{"parameters": {}}]}, 400, "functions[0]"),
    ],
)  # fmt: skip
def test_a_faulty_chat_request_is_refused_by_name(
    provider: ProviderCaller, fields: dict[str, Any], status: int, param: str
) -> None:
    response = provider.chat(**fields)
    assert response.status_code == status
    error = response.json()["error"]
    assert error["param"] == param
    assert error.keys() == {"message", "type", "param", "code"}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": 5}, "input"),
        ({"input": []}, "input"),
        ({"input": ["hello"]}, "input[0]"),
        ({"input": [{"role": "user", "content": [IMAGE]}]}, "input[0].content[0].type"),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]},
         "input[0].content[0].image_url"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"tools": [{"type": "function"}]}, "tools[0]"),
        ({"model": "gpt-4o"}, "model"),
    ],
)  # fmt: skip
def test_a_faulty_responses_request_is_refused_by_name(
    provider: ProviderCaller, fields: dict[str, Any], param: str
) -> None:
    response = provider.responses(**fields)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == param


def test_the_error_for_an_unknown_model_lists_the_known_ones(provider: ProviderCaller) -> None:
    error = provider.chat(model="gpt-4o").json()["error"]
    assert error["code"] == "model_not_found"
    assert "abliterated-model-large-v2" in error["message"]


def test_a_documented_alias_is_a_model(provider: ProviderCaller) -> None:
    assert provider.chat(model="abliteration-model").status_code == 200


@pytest.mark.parametrize("data", [b"{", b"[]", b"", b"hello"])
def test_a_body_that_is_not_a_json_object_is_refused(provider: ProviderCaller, data: bytes) -> None:
    response = provider.post("/chat/completions", data)
    assert response.status_code == 400
    assert "JSON object" in response.json()["error"]["message"]


def test_a_large_model_refuses_images(provider: ProviderCaller) -> None:
    messages = [{"role": "user", "content": [IMAGE]}]
    response = provider.chat(model="abliterated-model-large", messages=messages)
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "media_images_not_supported"


def test_unknown_keys_can_be_ignored_and_responses_takes_any(provider: ProviderCaller) -> None:
    assert provider.chat("unknown-keys=ignore", top_k=5).status_code == 200
    assert provider.chat("unknown-keys=422", top_k=5).status_code == 422
    assert provider.responses(top_k=5).status_code == 200


def test_previous_response_id_is_accepted_unless_configured_otherwise(
    provider: ProviderCaller,
) -> None:
    assert provider.responses(previous_response_id="resp_1").status_code == 200
    refused = provider.responses("previous-response=reject", previous_response_id="resp_1")
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "previous_response_id"


@pytest.mark.parametrize("path", ["/chat/completions", "/responses"])
def test_a_wrong_or_missing_key_is_refused(provider: ProviderCaller, path: str) -> None:
    for headers in ({"Authorization": "Bearer ak_wrong"}, {}):
        response = provider.session.post(
            provider.url + path, json={}, headers=headers, timeout=TIMEOUT_SECONDS
        )
        assert response.status_code == 401
        assert response.json()["error"]["code"] == "invalid_api_key"


@pytest.mark.parametrize("path", ["/chat/completion", "/models/abliterated-model", "/models"])
def test_the_error_for_a_wrong_path_lists_the_valid_ones(
    provider: ProviderCaller, path: str
) -> None:
    response = provider.post(path, {})
    assert response.status_code == 404
    assert "/v1" in response.json()["error"]["message"]


def test_a_body_that_is_too_large_is_refused(provider: ProviderCaller) -> None:
    response = provider.post("/chat/completions", b" " * (33 * 1024 * 1024))
    assert response.status_code == 413
    assert response.json()["error"]["code"] == "request_too_large"


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 408, 409, 422, 429, 500, 503, 529])
def test_any_error_status_can_be_requested(provider: ProviderCaller, status: int) -> None:
    response = provider.chat(f"status={status}")
    assert response.status_code == status
    assert response.json()["error"]["message"]


@pytest.mark.parametrize(
    ("shape", "content_type", "beginning"),
    [
        ("openai", "application/json", '{"error":{"message":'),
        ("detail", "application/json", '{"detail":"'),
        ("html", "text/html", "<html>"),
        ("empty", "text/plain", ""),
    ],
)
def test_error_bodies_have_the_requested_shape(
    provider: ProviderCaller, shape: str, content_type: str, beginning: str
) -> None:
    response = provider.chat(f"status=502;error-body={shape}")
    assert response.status_code == 502
    assert response.headers["Content-Type"] == content_type
    assert response.text.startswith(beginning)
    assert bool(response.text) is bool(beginning)


@pytest.mark.parametrize(
    ("switches", "value"),
    [
        ("status=429", "1"),
        ("status=500", None),
        ("status=429;retry-after=7", "7"),
        ("status=503;retry-after=1.5", "1.5"),
        ("status=429;retry-after=0", "0"),
        ("status=429;retry-after=300", "300"),
        ("status=429;retry-after=missing", None),
    ],
)
def test_retry_after_is_the_requested_value(
    provider: ProviderCaller, switches: str, value: str | None
) -> None:
    assert provider.chat(switches).headers.get("Retry-After") == value


def test_retry_after_can_be_a_date(provider: ProviderCaller) -> None:
    value = provider.chat("status=429;retry-after=date").headers["Retry-After"]
    ahead = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
    assert 0 < ahead <= 2


@pytest.mark.parametrize(
    ("switches", "words"),
    [
        ("fualt=cut", ["fault", "latency"]),
        ("fault=cot", ["silent-close"]),
        ("status=200x", ["STATUS"]),
        ("chunks=-1", ["N"]),
        ("latency", ["SECONDS"]),
        ("done=maybe", ["auto|on|off"]),
    ],
)
def test_an_unknown_switch_or_value_is_refused_with_the_known(
    provider: ProviderCaller, switches: str, words: list[str]
) -> None:
    for response in (provider.chat(switches), provider.chat(model=f"{MODEL}@{switches}")):
        assert response.status_code == 400
        assert response.json()["error"]["code"] == "unknown_switch"
        assert all(word in response.json()["error"]["message"] for word in words)


def test_every_answer_has_rate_limit_headers_and_a_request_id(provider: ProviderCaller) -> None:
    answers = [
        provider.chat(),
        provider.chat(stream=True),
        provider.models(),
        provider.post("/x", {}),
    ]
    assert len({answer.headers["x-request-id"] for answer in answers}) == 4
    left = [answer.headers["x-ratelimit-remaining-requests"] for answer in answers]
    assert left == ["999999", "999998", "999997", "999996"]
    assert answers[0].headers["x-ratelimit-limit-requests"] == "1000000"
    assert answers[0].headers["x-ratelimit-reset-requests"].endswith("Z")


def test_the_request_id_can_be_missing(provider: ProviderCaller) -> None:
    assert "x-request-id" not in provider.chat("request-id=none").headers


def test_rate_limits_apply_only_on_request(provider: ProviderCaller) -> None:
    assert {provider.models().status_code for _ in range(130)} == {200}
    answers = [provider.chat("rate-limit=2") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].headers["x-ratelimit-remaining-requests"] == "0"
    assert 1 <= int(answers[2].headers["Retry-After"]) <= 60
    assert provider.chat("rate-limit=2;id=other").status_code == 200


def test_exhausted_credits_are_refused(provider: ProviderCaller) -> None:
    answers = [provider.chat("credits-left=2") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 402]
    assert answers[1].json()["remaining_credits"] == 0
    assert provider.responses("credits-left=0").status_code == 402


def test_the_models_are_listed_with_their_limits(provider: ProviderCaller) -> None:
    body = provider.models().json()
    assert body["object"] == "list"
    base, large, _ = body["data"]
    assert (base["id"], large["id"]) == ("abliterated-model", "abliterated-model-large")
    assert base["pricing"]["completion"] == "0.000003"
    assert large["sampling_limits"]["temperature"]["maximum"] == 1
    assert large["input_modalities"] == ["text"]
    assert "tools" in base["supported_features"]
    assert base["access"]["available"] is True


def test_a_locked_model_is_listed_and_refused(provider: ProviderCaller) -> None:
    entry = provider.models("locked-models").json()["data"][2]
    assert entry["access"]["locked"] is True
    assert entry["access"]["available"] is False
    assert provider.chat("locked-models", model=entry["id"]).status_code == 403
    assert provider.chat(model=entry["id"]).status_code == 200


def test_the_simulator_lists_and_forgets_its_calls(provider: ProviderCaller) -> None:
    provider.chat(model=f"{MODEL}@chunks=2", stream=True)
    provider.chat("status=500;times=1")
    seen = provider.admin("GET", "/calls").json()
    assert seen["count"] == 2
    assert seen["calls"][0] == {
        "path": "/v1/chat/completions",
        "model": MODEL,
        "status": 200,
        "switches": {"chunks": "2"},
    }
    assert seen["calls"][1]["status"] == 500
    assert provider.admin("DELETE", "/calls").json()["count"] == 0
    assert provider.admin("GET", "/calls").json()["count"] == 0
    assert provider.chat("status=500;times=1").status_code == 500


def test_the_key_can_be_rotated(provider: ProviderCaller) -> None:
    assert provider.server.key == DEFAULT_KEY
    old = provider.headers()
    assert provider.admin("PUT", "/key", {"key": "ak_new"}).status_code == 200
    assert provider.server.key == "ak_new"
    assert provider.models().status_code == 200
    refused = provider.session.get(f"{provider.url}/models", headers=old, timeout=TIMEOUT_SECONDS)
    assert refused.status_code == 401
    assert provider.admin("PUT", "/key", ["x"]).status_code == 400
