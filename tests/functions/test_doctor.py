"""DoctorFunction: what it says of faults that are really there."""

from __future__ import annotations

import json
import time
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import pytest

from functions.doctor.handler import handler
from tests.functions.conftest import PROVIDER_KEY, Context
from tests.support.provider_pair import DOWN
from tests.support.scripted_provider import CLOSE, RESET, stream, whole

if TYPE_CHECKING:
    from tests.functions.conftest import Secret
    from tests.support.provider_pair import Pair
    from tests.support.scripted_provider import Script, ScriptedProvider

MODEL = "abliterated-model"
LISTING = whole(200, {"data": [{"id": MODEL}, {"id": "another-model"}]})
PIECES = [
    b'data: {"choices":[{"index":0,"delta":{"content":"one "}}]}\n\n',
    b'data: {"choices":[{"index":0,"delta":{"content":"two"}}]}\n\ndata: [DONE]\n\n',
]
CHAT = stream(*PIECES)
LEFT = {
    "x_ratelimit_limit_requests": "600",
    "x_ratelimit_limit_tokens": "2000000",
    "x_ratelimit_remaining_tokens": "1999000",
}


def refused(status: int, message: str = "", **more: Any) -> Script:
    return whole(status, {"error": {"message": message, "code": None} | more})


def examined(**event: Any) -> dict[str, Any]:
    report: dict[str, Any] = handler(event, Context(60, time.monotonic()))
    assert PROVIDER_KEY not in json.dumps(report)
    return report


def faults() -> list[tuple[str, str, str]]:
    """Name, words and fix of everything that is not in order."""
    checks = examined()["checks"]
    found = [each for each in checks if each["state"] in ("warn", "fail")]
    assert all(each["fix"] for each in found)
    return [(each["name"], each["says"], each["fix"]) for each in found]


def only_fault() -> tuple[str, str, str]:
    (fault,) = faults()
    return fault


def states(report: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each["state"] for each in report["checks"]}


def test_all_checks_of_a_healthy_provider_are_ok(provider: ScriptedProvider) -> None:
    provider.scripts = [LISTING, CHAT]
    report = examined()
    assert report["healthy"] is True
    assert set(states(report).values()) == {"ok"}


def test_the_doctor_requests_the_model_list_and_sixteen_tokens(provider: ScriptedProvider) -> None:
    provider.scripts = [LISTING, CHAT]
    examined()
    listing, chat = provider.requests
    assert (listing.method, listing.path) == ("GET", "/v1/models")
    body = json.loads(chat.body)
    assert (chat.path, body["model"], body["max_tokens"]) == ("/v1/chat/completions", MODEL, 16)


def test_the_event_may_name_the_model(provider: ScriptedProvider) -> None:
    provider.scripts = [LISTING, CHAT]
    assert "another-model answers" in json.dumps(examined(model="another-model"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (" \n", "is empty"),
        (f'"{PROVIDER_KEY}"', "quotation marks"),
        (f"“{PROVIDER_KEY}”", "quotation marks"),
        (f"{PROVIDER_KEY}\nand more", "line break"),
        (f"two {PROVIDER_KEY}", "white space within"),
        (f"Bearer {PROVIDER_KEY}", "'Bearer'"),
        (f"ABLIT_KEY={PROVIDER_KEY}", "NAME=value"),
        (f"{PROVIDER_KEY}é", "characters that no key"),
        (f'{{"api_key": "{PROVIDER_KEY}"', "like JSON but is not valid"),
        (f'{{"key": "{PROVIDER_KEY}"}}', 'without "api_key"'),
        ('{"api_keys": []}', 'without "api_key"'),
        (f'{{"api_keys": ["{PROVIDER_KEY}", 7]}}', "empty or not a string"),
    ],
)
def test_a_malformed_secret_is_reported_without_calling_the_provider(
    provider: ScriptedProvider, secret: Secret, text: str, words: str
) -> None:
    secret.put(text)
    name, says, fix = only_fault()
    assert (name, words in says) == ("secret", True)
    assert "relay provider-key set" in fix
    assert provider.requests == []


@pytest.mark.parametrize("text", [f"{PROVIDER_KEY}\n", f' {{"api_keys": ["{PROVIDER_KEY}\\n"]}}'])
def test_white_space_around_a_key_does_no_harm(
    provider: ScriptedProvider, secret: Secret, text: str
) -> None:
    secret.put(text)
    provider.scripts = [LISTING, CHAT]
    assert faults() == []
    assert provider.requests[0].headers["authorization"] == f"Bearer {PROVIDER_KEY}"


def test_an_empty_secret_is_reported(
    provider: ScriptedProvider, secret: Secret, environment: pytest.MonkeyPatch
) -> None:
    arn = secret.client.create_secret(Name=f"empty-{time.monotonic_ns()}")["ARN"]
    environment.setenv("PROVIDER_KEY_SECRET_ARN", arn)
    name, says, fix = only_fault()
    assert (name, "is empty" in says) == ("secret", True)
    assert "relay provider-key set" in fix


def test_dependent_checks_are_skipped_after_a_fault(
    provider: ScriptedProvider, secret: Secret
) -> None:
    secret.put('""')
    report = examined()
    assert report["healthy"] is False
    assert states(report) == {
        "settings": "ok",
        "secret": "fail",
        "base url": "not checked",
        "provider key": "not checked",
        "model": "not checked",
        "rate limit": "not checked",
        "provider stream": "not checked",
        "function clock": "not checked",
    }


def test_an_invalid_setting_is_reported(
    provider: ScriptedProvider, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("UPSTREAM_MAX_ATTEMPTS", "many")
    assert only_fault()[0] == "settings"


def test_a_provider_list_that_is_not_json_is_reported_with_the_position(
    environment: pytest.MonkeyPatch,
) -> None:
    environment.setenv("PROVIDERS", '[{"name": "a",}]')
    name, says, _ = only_fault()
    assert (name, "line 1 column 1" in says) == ("settings", True)
    assert "Providers is not JSON: " in says


def test_a_refused_key_is_reported_with_the_checklist(provider: ScriptedProvider) -> None:
    provider.scripts = [refused(401, f"Incorrect API key: {PROVIDER_KEY}")]
    name, says, fix = only_fault()
    assert (name, "401" in says) == ("provider key", True)
    for words in ("another provider", "revoked", "White space", provider.base_url):
        assert words in fix


def test_a_bad_key_among_several_is_named_by_its_position(
    provider: ScriptedProvider, secret: Secret
) -> None:
    secret.put(json.dumps({"api_keys": [PROVIDER_KEY, f"{PROVIDER_KEY}-2"]}))
    provider.scripts = [LISTING, CHAT, refused(401)]
    name, says, _ = only_fault()
    assert (name, "Of 2 keys" in says, "number 2" in says) == ("provider key", True, True)
    assert examined()["healthy"] is False  # the last script refuses both


def test_keys_without_an_answer_are_not_reported_as_accepted(
    provider: ScriptedProvider, secret: Secret
) -> None:
    secret.put(json.dumps({"api_keys": [PROVIDER_KEY, f"{PROVIDER_KEY}-2"]}))
    provider.scripts = [LISTING, CHAT, [CLOSE]]
    name, says, _ = only_fault()
    assert (name, "key number 2 is not known" in says) == ("provider key", True)


def test_a_model_that_gives_no_answer_is_reported(provider: ScriptedProvider) -> None:
    provider.scripts = [LISTING, [CLOSE]]
    key, model = faults()
    assert (key[0], "key number 1 is not known" in key[1]) == ("provider key", True)
    assert (model[0], f"{MODEL} gives no answer" in model[1]) == ("model", True)
    assert "another-model" in model[2]


def test_a_key_is_not_shown_however_it_is_spelled(
    provider: ScriptedProvider, secret: Secret
) -> None:
    secret.put("ak/canary")
    provider.scripts = [LISTING, whole(403, b'{"error":{"message":"ak\\/canary may not."}}')]
    assert "(403). [key] may not." in only_fault()[1]


@pytest.mark.parametrize(
    ("answer", "words", "advice"),
    [
        (refused(402, "No credits."), "no credits left (402). No credits.", "Top it up"),
        (refused(403, f"{PROVIDER_KEY} may not."), "(403). [key] may not.", "right"),
    ],
)
def test_an_account_without_permission_is_reported(
    provider: ScriptedProvider, answer: Script, words: str, advice: str
) -> None:
    provider.scripts = [LISTING, answer]
    name, says, fix = only_fault()
    assert (name, words in says, advice in fix) == ("provider key", True, True)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (refused(404), "answers 404: there is no such API"),
        (whole(404, b"<html>"), "answers 404"),
        (whole(302, b"", Location="https://elsewhere.example/"), "a redirect (302)"),
        (whole(200, b"<html>"), "as a web site does"),
        (refused(503, "Down."), "a server error (503). Down."),
        ([RESET], "no answer"),
        ([CLOSE], "no answer"),
    ],
)
def test_a_base_url_without_an_api_behind_it_is_reported(
    provider: ScriptedProvider, answer: Script, words: str
) -> None:
    provider.scripts = [answer]
    name, says, fix = only_fault()
    assert (name, words in says) == ("base url", True)
    assert provider.base_url in says
    assert "UpstreamBaseUrl" in fix or "status page" in fix


def test_a_provider_that_cannot_be_reached_is_reported(
    provider: ScriptedProvider, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("UPSTREAM_BASE_URL", "http://127.0.0.1:9")
    name, says, fix = only_fault()
    assert (name, "http://127.0.0.1:9/v1 gives no answer" in says) == ("base url", True)
    assert "UpstreamBaseUrl" in fix


def test_the_fix_for_a_listed_providers_base_url_is_in_the_list(pair: Pair) -> None:
    pair.change_entries({"base_url": DOWN})
    pair.second.scripts = [LISTING, CHAT]
    name, _, fix = only_fault()
    assert name == f"base url of {pair.names[0]}"
    assert f"set base_url of '{pair.names[0]}' in Providers, then: sam deploy" in fix
    assert "UpstreamBaseUrl" not in fix


def test_the_fix_for_a_listed_providers_key_names_its_own_secret(pair: Pair) -> None:
    pair.first.scripts, pair.second.scripts = [refused(401)], [LISTING, CHAT]
    arn = pair.entries[0]["secret_arn"]
    _, _, fix = only_fault()
    assert f"put-secret-value --secret-string file://provider-key.txt --secret-id {arn}" in fix
    assert "relay provider-key" not in fix


def test_the_fix_for_a_listed_provider_may_be_in_the_stack_s_own_secret(
    provider: ScriptedProvider, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("PROVIDERS", json.dumps([{"name": "a", "base_url": provider.base_url}]))
    provider.scripts = [refused(401)]
    assert "relay provider-key set" in only_fault()[2]


@pytest.mark.parametrize("is_listed", [True, False])
def test_a_password_in_a_base_url_is_refused_and_not_shown(
    environment: pytest.MonkeyPatch, is_listed: bool
) -> None:
    url = "https://user:hunter2@api.example.com/v1"
    listed = json.dumps([{"name": "a", "base_url": url}])
    environment.setenv(*(("PROVIDERS", listed) if is_listed else ("UPSTREAM_BASE_URL", url)))
    name, says, _ = only_fault()
    assert (name, "the key goes into the secret" in says) == ("settings", True)
    assert "hunter2" not in json.dumps(examined())


@pytest.mark.parametrize("status", [400, 404])
def test_an_unknown_model_is_reported_with_the_available_ones(
    provider: ScriptedProvider, status: int
) -> None:
    provider.scripts = [LISTING, refused(status, "The model does not exist")]
    name, says, fix = only_fault()
    assert (name, f"({status}). The model does not exist" in says) == ("model", True)
    assert "another-model" in fix


def test_a_locked_model_is_reported_with_what_is_missing(
    provider: ScriptedProvider,
) -> None:
    access = {"available": False, "locked": True, "missing_requirements": ["subscription"]}
    provider.scripts = [
        whole(200, {"data": [{"id": MODEL, "access": access}, {"id": "another-model"}]}),
        refused(400, "This model is not available."),
    ]
    name, says, fix = only_fault()
    assert (name, "locked" in says, "subscription" in says) == ("model", True, True)
    assert "another-model" in fix


def test_a_provider_without_a_model_list_has_no_fault(provider: ScriptedProvider) -> None:
    provider.scripts = [refused(404), CHAT]
    assert faults() == []


def test_without_a_model_the_doctor_requires_one(
    provider: ScriptedProvider, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("PROVIDER_DIALECT", "openai")
    provider.scripts = [whole(200, {"data": []})]
    assert only_fault() == (
        "model",
        "No model is named, and the provider lists none.",
        "Name one with --model.",
    )


def test_a_limit_that_is_reached_is_reported_with_the_wait(provider: ScriptedProvider) -> None:
    provider.scripts = [LISTING, whole(429, {"error": {"message": "Slow down."}}, Retry_After="7")]
    name, says, fix = only_fault()
    assert (name, "(429). Slow down." in says, "after: 7" in fix) == ("rate limit", True, True)


def test_exhausted_credits_are_reported_although_the_status_is_429(
    provider: ScriptedProvider,
) -> None:
    provider.scripts = [LISTING, refused(429, "Quota.", code="insufficient_quota")]
    assert only_fault() == (
        "rate limit",
        "The account has no credits left (429). Quota.",
        "Top it up.",
    )


@pytest.mark.parametrize(("left", "state"), [("0", "fail"), ("59", "warn"), ("60", "ok")])
def test_remaining_limits_are_read_from_the_provider_s_headers(
    provider: ScriptedProvider, left: str, state: str
) -> None:
    headers = LEFT | {"x_ratelimit_remaining_requests": left}
    provider.scripts = [whole(200, {"data": [{"id": MODEL}]}, **headers), CHAT]
    (check,) = (each for each in examined()["checks"] if each["name"] == "rate limit")
    assert check["state"] == state
    assert f"{left} of 600 requests" in check["says"]


def test_one_rate_limited_key_does_not_fail_the_model_check(
    provider: ScriptedProvider, secret: Secret
) -> None:
    secret.put(json.dumps({"api_keys": [PROVIDER_KEY, f"{PROVIDER_KEY}-2"]}))
    provider.scripts = [LISTING, refused(429), CHAT]
    assert only_fault()[0] == "rate limit"


def test_a_buffered_stream_is_reported(provider: ScriptedProvider) -> None:
    provider.scripts = [LISTING, stream(0.8, b"".join(PIECES))]
    name, says, _ = only_fault()
    assert (name, "all at once, at its end" in says) == ("provider stream", True)


def test_a_stream_that_arrives_in_pieces_is_not_reported(provider: ScriptedProvider) -> None:
    provider.scripts = [LISTING, stream(0.3, PIECES[0], 0.4, PIECES[1])]
    assert faults() == []


def test_a_provider_that_does_not_stream_is_reported(provider: ScriptedProvider) -> None:
    provider.scripts = [LISTING, whole(200, {"choices": [{"message": {"content": "one"}}]})]
    assert only_fault()[0] == "provider stream"


@pytest.mark.parametrize(("seconds", "words"), [(-3600, "ahead of"), (3600, "behind")])
def test_clocks_that_differ_are_reported(
    provider: ScriptedProvider, seconds: int, words: str
) -> None:
    date = formatdate(time.time() + seconds, usegmt=True)
    provider.scripts = [whole(200, {"data": [{"id": MODEL}]}, Date=date), CHAT]
    name, says, fix = only_fault()
    assert (name, words in says, "clock" in fix) == ("function clock", True, True)
