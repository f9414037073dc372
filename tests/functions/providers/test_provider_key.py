"""The provider's key: where it comes from, and what happens when it changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.functions.conftest import PROVIDER_KEY, Secret
from tests.support.payloads import COMPLETION, QUESTION
from tests.support.scripted_provider import whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.functions.conftest import Answered
    from tests.support.scripted_provider import ScriptedProvider

UNAUTHORIZED = whole(401, {"error": {"message": "bad key", "code": "invalid_api_key"}})


def keys_sent(provider: ScriptedProvider) -> list[str]:
    return [r.headers["authorization"].removeprefix("Bearer ") for r in provider.requests]


def test_a_rotated_key_is_picked_up_without_a_failed_call(
    provider: ScriptedProvider, ask: Callable[..., Answered], secret: Secret
) -> None:
    provider.scripts = [whole(200, COMPLETION), UNAUTHORIZED, whole(200, COMPLETION)]
    ask(QUESTION)
    secret.put("ak_new")
    assert [ask(QUESTION).status, ask(QUESTION).status] == [200, 200]
    assert keys_sent(provider) == [PROVIDER_KEY, PROVIDER_KEY, "ak_new", "ak_new"]


def test_a_rejected_provider_key_is_a_502_and_not_blamed_on_the_caller(
    provider: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    provider.scripts = [UNAUTHORIZED]
    answer = ask(QUESTION)
    assert (answer.status, answer.error["code"]) == (502, "provider_key_rejected")
    assert "your own key is valid" in answer.error["message"]
    assert len(provider.requests) == 1


def test_a_rejected_key_is_read_again_at_most_every_30_seconds(
    provider: ScriptedProvider, ask: Callable[..., Answered], secret: Secret
) -> None:
    provider.scripts = [UNAUTHORIZED]
    ask(QUESTION)
    secret.put("ak_new")
    ask(QUESTION)
    assert keys_sent(provider) == [PROVIDER_KEY, PROVIDER_KEY]


def test_a_new_key_that_is_also_refused_is_tried_once(
    provider: ScriptedProvider, ask: Callable[..., Answered], secret: Secret
) -> None:
    provider.scripts = [whole(200, COMPLETION), UNAUTHORIZED]
    ask(QUESTION)
    secret.put("ak_new")
    assert ask(QUESTION).error["code"] == "provider_key_rejected"
    assert keys_sent(provider) == [PROVIDER_KEY, PROVIDER_KEY, "ak_new"]


@pytest.mark.parametrize(
    ("stored", "key"),
    [("ak_x\n", "ak_x"), ('{"api_key": "ak_y"}', "ak_y"), (' {"api_key": " ak_z "} ', "ak_z")],
)
def test_a_secret_may_be_text_or_json(
    provider: ScriptedProvider,
    ask: Callable[..., Answered],
    secret: Secret,
    stored: str,
    key: str,
) -> None:
    provider.scripts = [whole(200, COMPLETION)]
    secret.put(stored)
    assert ask(QUESTION).status == 200
    assert keys_sent(provider) == [key]


@pytest.mark.parametrize("stored", [" ", "{}", "{", '{"api_key": 5}', "ak\nx", "ключ"])
def test_a_secret_without_a_usable_key_is_a_503_that_says_what_to_store(
    provider: ScriptedProvider, ask: Callable[..., Answered], secret: Secret, stored: str
) -> None:
    secret.put(stored)
    answer = ask(QUESTION)
    assert (answer.status, answer.error["code"]) == (503, "provider_key_missing")
    assert provider.requests == []


def test_an_empty_secret_is_a_503_that_names_the_output_to_look_at(
    environment: pytest.MonkeyPatch, provider: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    environment.setenv("PROVIDER_KEY_SECRET_ARN", "nothing-there")
    answer = ask(QUESTION)
    assert (answer.status, answer.error["code"]) == (503, "provider_key_missing")
    assert "ProviderKeySecretId" in answer.error["message"]


@pytest.mark.parametrize("name", ["ABLIT_KEY", "ABLITERATION_API_KEY"])
def test_a_key_in_the_environment_is_used_only_under_sam_local(
    environment: pytest.MonkeyPatch,
    provider: ScriptedProvider,
    ask: Callable[..., Answered],
    name: str,
) -> None:
    from llm_relay.api import relay  # noqa: PLC0415

    provider.scripts = [whole(200, COMPLETION)]
    environment.setenv(name, "ak_environment")
    ask(QUESTION)
    relay.provider_router.cache_clear()
    environment.setenv("AWS_SAM_LOCAL", "true")
    ask(QUESTION)
    assert keys_sent(provider) == [PROVIDER_KEY, "ak_environment"]
