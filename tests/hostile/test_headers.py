"""Whatever a caller writes, no header of the answer or of the provider's request is made of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from llm_relay.batch.api.checks import check_metadata
from llm_relay.core.errors import BadRequest
from tests.functions.conftest import PROVIDER_KEY
from tests.support.payloads import COMPLETION, QUESTION
from tests.support.scripted_provider import ScriptedProvider, whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.functions.conftest import Answered
    from tests.support.batch_api import BatchApi

INJECTED = [
    *("a\r\nX-Evil: 1", "a\nX-Evil: 1", "a\rX-Evil: 1", "a\r\n\r\nHTTP/1.1 200 OK\r\n\r\nevil"),
    *("a\x00X-Evil: 1", "a\x0bX-Evil: 1", "a\x0cX-Evil: 1", "a\x1cX-Evil: 1", "a\x85X-Evil: 1"),
    *(
        "a\u2028X-Evil: 1",
        "a\u2029X-Evil: 1",
        "嘊嘍X-Evil: 1",
        "a\ud800X-Evil: 1",
        "a\x7fX-Evil: 1",
    ),
    *("%0d%0aX-Evil: 1", "a\\r\\nX-Evil: 1", '"; X-Evil="1', "a; X-Evil: 1", "a, X-Evil: 1"),
    *("é" * 500, "x" * 20_000, "=?utf-8?b?WC1FdmlsOiAx?=", "\u202eX-Evil"),
]
FORGED = {
    "Authorization": "Bearer sk-evil",
    "Cookie": "evil=1",
    "Host": "evil.example.com",
    "X-Forwarded-Host": "evil.example.com",
    "X-Forwarded-For": "127.0.0.1",
    "X-HTTP-Method-Override": "DELETE",
    "X-Original-URL": "/v1/files",
    "Transfer-Encoding": "chunked",
    "Content-Length": "1",
    "Content-Encoding": "gzip",
    "Connection": "upgrade",
    "Upgrade": "websocket",
    "Expect": "100-continue",
    "Proxy": "http://evil.example.com",
    "OpenAI-Organization": "evil",
    "X-Api-Key": "evil",
    "X-Request-Id": "evil",
    "X-Amzn-Trace-Id": "evil",
    "Accept": "evil/evil",
    "User-Agent": "evil",
}


def is_plain(headers: dict[str, str], most: int = 1_000) -> bool:
    """Whether headers are short lines of ASCII, none of which a caller has named."""
    lines = [text for pair in headers.items() for text in pair]
    shown = all(line.isascii() and line.isprintable() and len(line) <= most for line in lines)
    return shown and not any("evil" in name.lower() for name in headers)


def names_of(text: str) -> list[dict[str, Any]]:
    """Requests with a text at every place whose name or value comes near a header."""
    return [
        QUESTION | {"model": text},
        QUESTION | {text: 1},
        QUESTION | {"user": text, "metadata": {"a": text}},
        QUESTION | {"tools": [{"type": "function", "function": {"name": "f", text: 1}}]},
        QUESTION | {"service_tier": text, "response_format": {"type": text}},
    ]


@pytest.mark.parametrize("text", INJECTED)
def test_no_request_field_can_inject_a_header(
    text: str,
    ask: Callable[..., Answered],
    provider: ScriptedProvider,
    environment: pytest.MonkeyPatch,
) -> None:
    environment.setenv("PROVIDER_DIALECT", "abliteration")  # it tells what it has dropped
    provider.scripts = [whole(200, COMPLETION)]
    for payload in names_of(text):
        answer = ask(json.dumps(payload))
        assert answer.status in (200, 400)
        assert is_plain(answer.headers), answer.headers
    assert len(provider.requests) >= 2
    for request in provider.requests:
        assert not any("evil" in name for name in request.headers)
        assert request.path in ("/v1/chat/completions", "/v1/models")


@pytest.mark.parametrize(
    "text",
    [each for each in INJECTED if not each.isascii() or len(each) > 99 or not each.isprintable()],
)
def test_an_idempotency_key_that_is_not_plain_text_is_refused(
    text: str, ask: Callable[..., Answered], provider: ScriptedProvider
) -> None:
    answer = ask(QUESTION, headers={"Idempotency-Key": text})
    assert (answer.status, answer.error["param"]) == (400, "Idempotency-Key")
    assert is_plain(answer.headers)
    assert provider.requests == []


def test_caller_headers_are_not_forwarded_to_the_provider(
    ask: Callable[..., Answered], provider: ScriptedProvider
) -> None:
    provider.scripts = [whole(200, COMPLETION)]
    plain, forged = (ask(QUESTION, headers=headers) for headers in ({}, FORGED))
    assert plain.status == forged.status == 200
    first, second = provider.requests
    assert first.headers == second.headers
    assert second.headers["authorization"] == f"Bearer {PROVIDER_KEY}"
    assert second.body == json.dumps(QUESTION).encode()


def test_a_file_name_cannot_inject_a_header(api: BatchApi) -> None:
    stored = [answer.json() for answer in map(uploaded(api), INJECTED) if answer.is_success]
    assert len(stored) > len(INJECTED) / 2
    for file in stored:
        assert file["filename"].isprintable()
        content = api.ask("GET", f"/files/{file['id']}/content")
        there = api.http.get(content.headers["location"])
        assert there.text.endswith("x")
        assert is_plain(dict(there.headers), most=4_000)
        assert there.headers["content-disposition"].startswith("attachment; filename*=UTF-8''")


def uploaded(api: BatchApi) -> Callable[[str], Any]:
    """What is answered to the upload of a file with a name."""

    def upload(name: str) -> Any:
        disposition = "--b\r\nContent-Disposition: form-data; name="
        parts = f'"file"; filename="{name}"\r\n\r\nx\r\n{disposition}"purpose"\r\n\r\nbatch\r\n'
        form = f"{disposition}{parts}--b--\r\n".encode("utf-8", "surrogatepass")
        answer = api.ask("POST", "/files", "multipart/form-data; boundary=b", form)
        assert answer.status_code in (200, 400)
        return answer

    return upload


@pytest.mark.parametrize("pair", [{"": "a"}, {"a\ud800": "b"}, {"a": "b\udfff"}, {"x" * 65: "a"}])
def test_metadata_that_cannot_be_stored_is_refused(pair: dict[str, str]) -> None:
    with pytest.raises(BadRequest) as refused:
        check_metadata({"metadata": pair})
    assert refused.value.message.isascii()
