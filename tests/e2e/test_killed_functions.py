"""Functions that are killed in the middle of a call: what their callers see, and the next ones."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.e2e.batch.batches import MODEL
from tests.support.scripted_provider import wait_until

if TYPE_CHECKING:
    import openai

    from tests.e2e.conftest import Running

SECONDS = 100


def ask(running: Running, name: str, *, stream: bool = False) -> requests.Response:
    """Ask for what stalls; the name is how the provider knows the call."""
    body = {
        "model": f"{MODEL}@fault=stall;id={name}",
        "messages": [{"role": "user", "content": "Reply with: canary-prompt"}],
        "stream": stream,
    }
    headers = {"authorization": f"Bearer {running.stack.client_key}"}
    url = f"{running.base_url}/chat/completions"
    return requests.post(url, json=body, headers=headers, timeout=SECONDS, stream=stream)


def calls(running: Running, name: str) -> int:
    return sum(call.switches.get("id") == name for call in running.provider.calls)


def kill_chat(running: Running) -> None:
    """Kill every environment, and wait until none of them can get the next call."""
    function = running.stack.functions["ChatCompletionsFunction"]
    killed = set(function.process_ids)
    for process_id in killed:
        os.kill(process_id, signal.SIGKILL)
    wait_until(lambda: killed.isdisjoint(function.process_ids), SECONDS)


def works_again(client: openai.OpenAI) -> bool:
    asked: Any = [{"role": "user", "content": "Reply with: it works"}]
    completion = client.chat.completions.create(model=MODEL, messages=asked)
    return bool(completion.choices)


def test_a_stream_whose_function_is_killed_breaks_off_and_has_no_end(
    running: Running, client: openai.OpenAI
) -> None:
    with ask(running, "stream", stream=True) as response:
        lines = response.iter_lines()
        assert next(lines)  # it has begun
        kill_chat(running)
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            assert b"data: [DONE]" not in list(lines)
    assert calls(running, "stream") == 1
    assert works_again(client)


def test_a_call_whose_function_is_killed_is_an_error_and_is_not_retried(
    running: Running, client: openai.OpenAI
) -> None:
    with ThreadPoolExecutor(1) as caller:
        asking = caller.submit(ask, running, "whole")
        wait_until(lambda: calls(running, "whole") == 1, SECONDS)
        kill_chat(running)
        answer = asking.result(SECONDS)
    assert answer.status_code >= 500
    assert {"message", "type", "code"} <= answer.json()["error"].keys()
    assert calls(running, "whole") == 1
    assert works_again(client)
