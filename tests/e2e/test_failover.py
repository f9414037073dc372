"""A stack with two providers, as the template's parameter names them."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import openai
import pytest

from local.provider_simulator.server import Provider
from local.settings import Settings
from local.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.conftest import Loop

KEY = "sk-of-both-providers"
OF_AN_ACCOUNT = "arn:aws:secretsmanager:us-east-1:111122223333:secret:there-a1b2c3"
ASKED, THEIRS = "good-model", "abliterated-model"
MESSAGES: Any = [{"role": "user", "content": "Reply with: it works"}]


@dataclass
class Both:
    """A caller, and the provider that is there; the one before it is not."""

    client: openai.OpenAI
    second: Provider


@pytest.fixture(scope="module")
def both(loop: Loop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    second = Provider(key=KEY)
    there = {"name": "there", "base_url": loop.run(second.start()), "secret_arn": OF_AN_ACCOUNT}
    models = {"models": {ASKED: THEIRS}}
    providers = [{"name": "gone", "base_url": "http://127.0.0.1:1"} | models, there | models]
    environ = {"PROVIDERS": json.dumps(providers), "ABLIT_KEY": KEY, "PORT": "0"}
    log: Path = tmp_path_factory.mktemp("stack") / "functions.log"
    stack = Stack(replace(Settings.from_env(environ), log=log))
    loop.run(stack.__aenter__())
    with openai.OpenAI(base_url=f"{stack.base_url}/v1", api_key=stack.client_key) as client:
        yield Both(client, second)
    loop.run(stack.__aexit__(None, None, None))
    loop.run(second.stop())


def test_the_available_provider_answers_buffered_and_streamed(both: Both) -> None:
    chat = both.client.chat.completions
    raw = chat.with_raw_response.create(model=ASKED, messages=MESSAGES)
    assert raw.parse().choices[0].message.content == "it works"
    assert raw.headers["x-relay-provider"] == "there"
    chunks = chat.create(model=ASKED, messages=MESSAGES, stream=True)
    assert "".join(c.delta.content or "" for k in chunks for c in k.choices) == "it works"
    asked = {call.model for call in both.second.calls if call.path == "/v1/chat/completions"}
    assert asked == {THEIRS}


def test_models_go_by_the_names_of_the_list(both: Both) -> None:
    assert [model.id for model in both.client.models.list()] == [ASKED]
    with pytest.raises(openai.NotFoundError):
        both.client.chat.completions.create(model=THEIRS, messages=MESSAGES)
