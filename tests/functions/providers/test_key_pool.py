"""Several provider keys in one secret: whose turn it is, and what a refusal does to a key."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from llm_relay.providers.key_pool import RETIRED_SECONDS, KeyPool
from llm_relay.providers.settings import ProviderSettings
from tests.support.payloads import COMPLETION, QUESTION
from tests.support.scripted_provider import RESET, Script, whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.functions.conftest import Answered, Secret
    from tests.support.scripted_provider import ScriptedProvider

A, B, C, D = "ak_a", "ak_b", "ak_c", "ak_d"


def refused(status: int, **headers: str) -> Script:
    return whole(status, {"error": {"message": "no", "code": "refused"}}, **headers)


OK = whole(200, COMPLETION)
DEAD, FORBIDDEN, LIMITED = refused(401), refused(403), refused(429)


def keys_sent(provider: ScriptedProvider) -> list[str]:
    return [r.headers["authorization"].removeprefix("Bearer ") for r in provider.requests]


def several(*keys: str) -> str:
    return json.dumps({"api_keys": keys})


def seconds_of(work: Callable[[], Any]) -> float:
    started = time.monotonic()
    work()
    return time.monotonic() - started


@pytest.mark.parametrize(
    ("stored", "keys"),
    [
        (several(A, B), [A, B, A]),
        (several(A), [A, A, A]),
        (several(A, A, B), [A, B, A]),
        (several(A, f" {B}\n", "", "ключ"), [A, B, A]),
        ('{"api_keys": ["ak_a", null, 5, {}]}', [A, A, A]),
        ('{"api_keys": ["ak_a"], "api_key": "ak_b"}', [A, A, A]),
    ],
)
def test_the_keys_of_a_secret_are_used_in_turn(
    provider: ScriptedProvider,
    ask: Callable[..., Answered],
    secret: Secret,
    stored: str,
    keys: list[str],
) -> None:
    secret.put(stored)
    provider.scripts = [OK]
    assert [ask(QUESTION).status for _ in keys] == [200, 200, 200]
    assert keys_sent(provider) == keys


@pytest.mark.parametrize("stored", ['{"api_keys": []}', '{"api_keys": [""]}', '{"api_keys": {}}'])
def test_a_secret_with_an_empty_key_list_is_a_503_that_says_what_to_store(
    provider: ScriptedProvider, ask: Callable[..., Answered], secret: Secret, stored: str
) -> None:
    secret.put(stored)
    answer = ask(QUESTION)
    assert (answer.status, answer.error["code"]) == (503, "provider_key_missing")
    assert "api_keys" in answer.error["message"]
    assert provider.requests == []


@pytest.mark.parametrize("refusal", [DEAD, FORBIDDEN])
def test_a_refused_key_is_retired_and_its_call_retried_with_the_next(
    provider: ScriptedProvider, ask: Callable[..., Answered], secret: Secret, refusal: Script
) -> None:
    secret.put(several(A, B, C))
    provider.scripts = [refusal, OK]
    answers = [ask(QUESTION) for _ in range(4)]
    assert [a.status for a in answers] == [200] * 4
    assert [a.headers["x-relay-attempts"] for a in answers] == ["2", "1", "1", "1"]
    sent = keys_sent(provider)
    assert sent[:2] == [A, B]
    assert sorted(sent[2:]) in ([B, B, C], [B, C, C])


def test_every_key_is_tried_before_a_call_fails(
    provider: ScriptedProvider, ask: Callable[..., Answered], secret: Secret
) -> None:
    secret.put(several(A, B, C, D))
    provider.scripts = [DEAD, DEAD, DEAD, OK]  # one more than there are attempts at a failure
    assert ask(QUESTION).status == 200
    assert keys_sent(provider) == [A, B, C, D]


def test_when_all_keys_are_refused_the_secret_is_read_again(
    provider: ScriptedProvider, ask: Callable[..., Answered], secret: Secret
) -> None:
    secret.put(several(A, B))
    provider.scripts = [OK, OK, DEAD, DEAD, OK]
    assert [ask(QUESTION).status for _ in range(2)] == [200, 200]
    secret.put(several(B, C))
    assert ask(QUESTION).status == 200
    assert keys_sent(provider) == [A, B, A, B, C]


def test_keys_that_are_all_refused_are_a_502_and_then_tried_one_by_one(
    provider: ScriptedProvider, ask: Callable[..., Answered], secret: Secret
) -> None:
    secret.put(several(A, B))
    provider.scripts = [DEAD]
    answers = [ask(QUESTION) for _ in range(3)]
    assert {(a.status, a.error["code"]) for a in answers} == {(502, "provider_key_rejected")}
    assert keys_sent(provider) == [A, B, A, B]


def test_a_retired_key_that_is_accepted_again_is_used_while_no_other_works(
    provider: ScriptedProvider, ask: Callable[..., Answered], secret: Secret
) -> None:
    secret.put(several(A, B))
    provider.scripts = [DEAD, DEAD, OK]
    assert [ask(QUESTION).status for _ in range(3)] == [502, 200, 200]
    assert keys_sent(provider) == [A, B, A, A]


def test_two_rotations_within_half_a_minute_fail_no_call(
    provider: ScriptedProvider, ask: Callable[..., Answered], secret: Secret
) -> None:
    secret.put(A)
    provider.scripts = [OK, DEAD, OK, DEAD, OK]
    statuses = [ask(QUESTION).status]
    for key in (B, C):
        secret.put(key)
        statuses.append(ask(QUESTION).status)
    assert statuses == [200, 200, 200]
    assert keys_sent(provider) == [A, A, B, B, C]


def test_a_403_repeated_by_a_second_key_is_returned_and_retires_no_key(
    provider: ScriptedProvider, ask: Callable[..., Answered], secret: Secret
) -> None:
    secret.put(several(A, B, C))
    provider.scripts = [FORBIDDEN, FORBIDDEN, OK]
    answer = ask(QUESTION)
    assert (answer.status, answer.error["code"]) == (403, "refused")
    assert [ask(QUESTION).status for _ in range(3)] == [200] * 3
    sent = keys_sent(provider)
    assert sent[:2] == [A, B]
    assert sorted(sent[2:]) == [A, B, C]


def test_a_403_for_the_only_key_is_returned_and_retires_nothing(
    provider: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    provider.scripts = [FORBIDDEN, OK]
    assert [ask(QUESTION).status, ask(QUESTION).status] == [403, 200]
    assert len(provider.requests) == 2


def test_a_rate_limited_key_is_replaced_by_the_next_without_a_pause(
    provider: ScriptedProvider, ask: Callable[..., Answered], secret: Secret
) -> None:
    secret.put(several(A, B))
    provider.scripts = [refused(429, retry_after="19"), OK]
    assert seconds_of(lambda: ask(QUESTION)) < 15
    assert keys_sent(provider) == [A, B]


def test_a_rate_limited_key_is_not_retired(
    provider: ScriptedProvider, ask: Callable[..., Answered], secret: Secret
) -> None:
    secret.put(several(A, B))
    provider.scripts = [LIMITED, OK]
    assert [ask(QUESTION).status for _ in range(3)] == [200] * 3
    assert keys_sent(provider) == [A, B, B, A]


def test_when_all_keys_are_rate_limited_the_shortest_retry_after_is_used(
    provider: ScriptedProvider, ask: Callable[..., Answered], secret: Secret
) -> None:
    secret.put(several(A, B))
    provider.scripts = [refused(429, retry_after="1"), refused(429, retry_after="19"), OK]
    assert 1 <= seconds_of(lambda: ask(QUESTION)) < 15
    assert keys_sent(provider) == [A, B, A]


def test_rate_limited_keys_add_no_attempts_and_the_shortest_wait_is_returned(
    provider: ScriptedProvider, ask: Callable[..., Answered], secret: Secret
) -> None:
    secret.put(several(A, B, C, D))
    provider.scripts = [refused(429, retry_after=s) for s in ("60", "30", "90")]
    answer = ask(QUESTION)
    assert (answer.status, answer.headers["retry-after"]) == (429, "30")
    assert (answer.headers["x-relay-attempts"], keys_sent(provider)) == ("3", [A, B, C])


@pytest.mark.parametrize("refusal", [DEAD, FORBIDDEN])
def test_a_rate_limited_key_is_waited_for_when_the_others_are_refused(
    provider: ScriptedProvider, ask: Callable[..., Answered], secret: Secret, refusal: Script
) -> None:
    secret.put(several(A, B))
    provider.scripts = [refused(429, retry_after="1"), refusal, OK]
    assert seconds_of(lambda: ask(QUESTION)) >= 1
    assert keys_sent(provider) == [A, B, A]


@pytest.mark.parametrize("status", [500, 503])
def test_a_failing_provider_is_retried_with_the_same_key(
    provider: ScriptedProvider, ask: Callable[..., Answered], secret: Secret, status: int
) -> None:
    secret.put(several(A, B))
    provider.scripts = [refused(status), OK]
    assert ask(QUESTION).status == 200
    assert keys_sent(provider) == [A, A]


def test_a_possibly_answered_call_is_not_retried_with_a_second_key(
    provider: ScriptedProvider, ask: Callable[..., Answered], secret: Secret
) -> None:
    secret.put(several(A, B))
    provider.scripts = [[RESET], OK]
    assert ask(QUESTION).error["code"] == "upstream_error"
    assert len(provider.requests) == 1


def test_no_key_is_in_an_answer_or_the_log(
    provider: ScriptedProvider,
    ask: Callable[..., Answered],
    secret: Secret,
    capsys: pytest.CaptureFixture[str],
) -> None:
    secret.put(several(A, B))
    provider.scripts = [DEAD]
    answer = ask(QUESTION)
    shown = f"{answer.body!r} {answer.headers} {''.join(capsys.readouterr())}"
    assert [key for key in (A, B) if key in shown] == []


def pool_of(*keys: str, clock: Callable[[], float] = time.monotonic) -> KeyPool:
    pool = KeyPool(ProviderSettings.from_mapping({}), lambda: None, clock)
    pool.keys = [*keys]
    return pool


def test_a_retired_key_is_used_again_after_its_retirement() -> None:
    now = [1000.0]
    pool = pool_of(A, B, clock=lambda: now[0])
    pool.retire(A)
    now[0] += RETIRED_SECONDS - 1
    assert pool.active() == [B]
    now[0] += 1
    assert pool.active() == [A, B]


def test_a_key_stays_retired_when_the_secret_is_read_again() -> None:
    pool = pool_of(A, B)
    pool.retire(A)
    pool.keys = [C, A]
    assert pool.active() == [C]
