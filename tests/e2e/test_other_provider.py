"""Any OpenAI-compatible server may take the provider's place."""

from __future__ import annotations

from dataclasses import replace
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

KEY = "sk-of-another-provider"
MODEL = "abliterated-model"
MESSAGES: Any = [{"role": "user", "content": "Reply with: it works"}]


@pytest.fixture(scope="module")
def other(loop: Loop) -> Iterator[Provider]:
    provider = Provider(key=KEY)
    provider.url = loop.run(provider.start())  # type: ignore[attr-defined]
    yield provider
    loop.run(provider.stop())


@pytest.fixture(scope="module")
def client(
    loop: Loop, other: Provider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[openai.OpenAI]:
    url = other.url.removesuffix("/v1")  # type: ignore[attr-defined]
    environ = {"UPSTREAM_BASE_URL": url, "ABLIT_KEY": KEY, "PORT": "0"}
    log: Path = tmp_path_factory.mktemp("stack") / "functions.log"
    stack = Stack(replace(Settings.from_env(environ), log=log))
    loop.run(stack.__aenter__())
    with openai.OpenAI(base_url=f"{stack.base_url}/v1", api_key=stack.client_key) as client:
        yield client
    loop.run(stack.__aexit__(None, None, None))


def test_another_provider_answers_buffered_and_streamed_on_both_endpoints(
    client: openai.OpenAI, other: Provider
) -> None:
    chat, responses = client.chat.completions, client.responses
    assert chat.create(model=MODEL, messages=MESSAGES).choices[0].message.content == "it works"
    chunks = list(chat.create(model=MODEL, messages=MESSAGES, stream=True))
    assert "".join(c.delta.content or "" for k in chunks for c in k.choices) == "it works"
    assert responses.create(model=MODEL, input=MESSAGES).output_text == "it works"
    events = list(responses.create(model=MODEL, input=MESSAGES, stream=True))
    assert events[-1].type == "response.completed"
    assert MODEL in [model.id for model in client.models.list()]
    paths = [call.path for call in other.calls if call.path != "/v1/models"]  # prices are listed
    assert paths == ["/v1/chat/completions"] * 2 + ["/v1/responses"] * 2


def test_another_providers_refusals_arrive_unchanged(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="nothing", messages=MESSAGES)
