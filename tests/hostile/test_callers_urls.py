"""No URL of a caller's is ever fetched: a server that waits at each of them hears nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.payloads import COMPLETION, INPUT, QUESTION, RESPONSE
from tests.support.scripted_provider import ScriptedProvider, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.functions.conftest import Answered
    from tests.support.job_environment import JobWorld

URL = "URL"
REFERENCE = {"$ref": URL, "$schema": URL, "$id": URL}
OBJECT = {"type": "object", "properties": {"a": REFERENCE}, "$defs": {"b": REFERENCE}}


def user_message(*content: Any) -> list[Any]:
    return [{"role": "user", "content": list(content)}]


CHAT: dict[str, dict[str, Any]] = {
    "an image": {"messages": user_message({"type": "image_url", "image_url": {"url": URL}})},
    "an image beside text": {
        "messages": user_message(
            {"type": "text", "text": f"Look at {URL}"},
            {"type": "image_url", "image_url": {"url": URL, "detail": "high"}},
        )
    },
    "an image as a string": {"messages": user_message({"type": "image_url", "image_url": URL})},
    "audio": {
        "messages": user_message({"type": "input_audio", "input_audio": {"url": URL, "data": URL}})
    },
    "a file": {
        "messages": user_message({"type": "file", "file": {"file_url": URL, "file_id": URL}})
    },
    "a video": {"messages": user_message({"type": "video_url", "video_url": {"url": URL}})},
    "the schema of a tool": {
        "tools": [{"type": "function", "function": {"name": "f", "parameters": OBJECT}}]
    },
    "the schema of an answer": {
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "f", "schema": OBJECT, "strict": True},
        }
    },
    "the model": {"model": URL},
    "the user": {"user": URL, "metadata": {"callback": URL}},
    "fields that there are none of": {"webhook": URL, "callback_url": URL, "base_url": URL},
    "fields that libraries know": {"api_base": URL, "proxies": {"http": URL}, "proxy": URL},
}
RESPONSES: dict[str, dict[str, Any]] = {
    "an image": {"input": user_message({"type": "input_image", "image_url": URL})},
    "a file": {"input": user_message({"type": "input_file", "file_url": URL, "filename": "a"})},
    "a screenshot": {
        "input": [
            {
                "type": "computer_call_output",
                "call_id": "a",
                "output": {"type": "computer_screenshot", "image_url": URL},
            }
        ]
    },
    "a server of tools": {
        "tools": [{"type": "mcp", "server_label": "a", "server_url": URL, "connector_id": URL}]
    },
    "a search": {"tools": [{"type": "web_search", "filters": {"allowed_domains": [URL]}}]},
    "the schema of a tool": {"tools": [{"type": "function", "name": "f", "parameters": OBJECT}]},
    "the schema of an answer": {
        "text": {"format": {"type": "json_schema", "name": "f", "schema": OBJECT}}
    },
    "a prompt": {
        "prompt": {"id": URL, "variables": {"a": {"type": "input_image", "image_url": URL}}}
    },
    "an earlier response": {"previous_response_id": URL, "conversation": URL},
    "a webhook": {"background": False, "webhook_url": URL, "metadata": {"webhook": URL}},
}
HEADERS = {
    **{"Host": URL, "X-Forwarded-Host": URL, "Forwarded": URL, "Origin": URL, "Referer": URL},
    **{"Proxy": URL, "Via": URL, "Location": URL, "X-Original-Url": URL, "X-Base-Url": URL},
}
CASES = [("chat", name) for name in CHAT] + [("responses", name) for name in RESPONSES]


@pytest.fixture
def canary() -> Iterator[ScriptedProvider]:
    """A server that must not be called."""
    with ScriptedProvider([whole(200, {"type": "object"})]) as server:
        yield server
        assert server.connections == 0


def pointed(document: Any, canary: ScriptedProvider) -> Any:
    """A document whose URLs lead to the canary."""
    return json.loads(json.dumps(document).replace(f'"{URL}"', f'"{canary.base_url}/x.png"'))


@pytest.fixture(params=["openai", "abliteration"])
def answer_to(
    request: pytest.FixtureRequest,
    environment: pytest.MonkeyPatch,
    provider: ScriptedProvider,
    ask: Callable[..., Answered],
) -> Callable[..., Answered]:
    """Ask in each of the dialects."""
    environment.setenv("PROVIDER_DIALECT", request.param)
    return ask


@pytest.mark.parametrize(("surface", "name"), CASES)
def test_a_url_in_a_request_is_not_fetched(
    surface: str,
    name: str,
    answer_to: Callable[..., Answered],
    provider: ScriptedProvider,
    canary: ScriptedProvider,
) -> None:
    provider.scripts = [whole(200, COMPLETION if surface == "chat" else RESPONSE)]
    base, more = (QUESTION, CHAT) if surface == "chat" else (INPUT, RESPONSES)
    answer = answer_to(pointed(base | more[name], canary), surface)
    assert answer.status in (200, 400)
    assert (answer.status == 200) == any(each.method == "POST" for each in provider.requests)


def test_a_url_in_a_header_is_not_fetched(
    ask: Callable[..., Answered], provider: ScriptedProvider, canary: ScriptedProvider
) -> None:
    provider.scripts = [whole(200, COMPLETION)]
    assert ask(QUESTION, headers=pointed(HEADERS, canary)).status == 200


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_of_the_provider_is_not_followed(
    status: int, ask: Callable[..., Answered], provider: ScriptedProvider, canary: ScriptedProvider
) -> None:
    provider.scripts = [whole(status, {}, location=f"{canary.base_url}/chat/completions")]
    assert ask(QUESTION).status >= 400


def test_a_url_in_a_job_is_not_fetched(job_world: JobWorld, canary: ScriptedProvider) -> None:
    job_world.provider.scripts = [whole(200, RESPONSE)]
    for more in RESPONSES.values():
        body = pointed(INPUT | more, canary)
        job_world.send({"url": "/v1/responses", "body": body})
    while messages := job_world.receive():
        assert job_world.deliver(messages) == []
    assert job_world.provider.requests
