"""The provider's key is rotated while calls come in at a steady rate: not one of them fails."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import openai
import pytest

from local.provider_simulator.server import DEFAULT_KEY
from local.settings import Settings
from local.stack import Stack
from tests.support.payloads import COMPLETION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future
    from pathlib import Path

    from tests.e2e.conftest import Loop

CALLS_PER_SECOND = 20
CHANGE_SECONDS = 1.0  # between two steps of a rotation
ENVIRONMENTS = 2  # of the function, all warm: none may start between the secret and the provider
SLOW_MODEL = "abliterated-model@latency=1"  # so that one environment cannot take two calls
FIRST, SECOND, THIRD = DEFAULT_KEY, "ak_second", "ak_third"


@contextmanager
def running(loop: Loop, log: Path, **settings: Any) -> Iterator[Stack]:
    """A stack whose client key may call as fast as it likes."""
    parameters = {"ThrottleRequestsPerSecond": 1000, "ThrottleBurst": 1000}
    stack = Stack(Settings(log=log, parameters=parameters, concurrency=ENVIRONMENTS, **settings))
    loop.run(stack.__aenter__())
    try:
        yield stack
    finally:
        loop.run(stack.__aexit__(None, None, None))


def store(stack: Stack, secret: str) -> None:
    stack.aws("secretsmanager").put_secret_value(
        SecretId=stack.template.ref("ProviderKeySecret"), SecretString=secret
    )


def provider_calls(stack: Stack) -> list[int]:
    """The status of each completion that the simulator was asked for."""
    assert stack.provider
    return [c.status for c in stack.provider.calls if c.path.endswith("/chat/completions")]


def call(client: openai.OpenAI, number: int, model: str = "abliterated-model") -> str:
    """Make one call, every other one streamed; return what it failed with, or nothing."""
    message: Any = {"role": "user", "content": "Reply with: it works"}
    ask = client.chat.completions
    try:
        if number % 2:
            list(ask.create(model=model, messages=[message], stream=True))
        else:
            ask.create(model=model, messages=[message])
    except openai.OpenAIError as error:
        return f"call {number}: {error}"
    return ""


def failures_under_load(stack: Stack, steps: list[Callable[[], None]]) -> list[str]:
    """Take the steps of a rotation, one by one, under a steady load; return the calls that failed.

    The load begins before the first step and ends after the last.
    """
    total = int(CALLS_PER_SECOND * CHANGE_SECONDS * (len(steps) + 1))
    calls: list[Future[str]] = []
    client = openai.OpenAI(
        base_url=f"{stack.base_url}/v1", api_key=stack.client_key, max_retries=0, timeout=100
    )
    with client, ThreadPoolExecutor(CALLS_PER_SECOND) as pool:
        warm = [pool.submit(call, client, n, SLOW_MODEL) for n in range(ENVIRONMENTS)]
        assert [made.result() for made in warm] == [""] * ENVIRONMENTS
        started = time.monotonic()
        for number in range(total):
            time.sleep(max(0.0, started + number / CALLS_PER_SECOND - time.monotonic()))
            calls.append(pool.submit(call, client, number))
            step, rest = divmod(number + 1, int(CALLS_PER_SECOND * CHANGE_SECONDS))
            if rest == 0 and step <= len(steps):
                steps[step - 1]()
    assert len(calls) == total
    return [failure for made in calls if (failure := made.result())]


def test_keys_that_are_replaced_at_once_twice_in_a_row_fail_no_call(
    loop: Loop, tmp_path: Path
) -> None:
    with running(loop, tmp_path / "functions.log") as stack:
        provider = stack.provider
        assert provider

        def replace(key: str) -> Callable[[], None]:
            def step() -> None:
                store(stack, key)
                provider.key = key

            return step

        assert failures_under_load(stack, [replace(SECOND), replace(THIRD)]) == []
        statuses = provider_calls(stack)
    assert statuses.count(401) >= 2  # or the rotations went unnoticed
    assert statuses.count(200) == 3 * CALLS_PER_SECOND * CHANGE_SECONDS + ENVIRONMENTS


@dataclass
class Keyholder:
    """A provider that accepts several keys, and counts the answers for each."""

    accepted: set[str]
    answered: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def __enter__(self) -> Keyholder:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            holder = self

            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["content-length"])))
                key = self.headers["authorization"].removeprefix("Bearer ")
                accepts = key in self.holder.accepted
                (self.holder.answered if accepts else self.holder.refused).append(key)
                self.send_response(200 if accepts else 401)
                streams = accepts and request.get("stream")
                self.send_header(
                    "content-type", "text/event-stream" if streams else "application/json"
                )
                body = STREAM if streams else json.dumps(COMPLETION if accepts else REFUSAL)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"


REFUSAL = {"error": {"message": "bad key", "code": "invalid_api_key"}}
CHUNK = {
    "id": "chatcmpl-1",
    "object": "chat.completion.chunk",
    "created": 1795000000,
    "model": "abliterated-model",
    "choices": [{"index": 0, "delta": {"content": "it works"}, "finish_reason": "stop"}],
    "usage": COMPLETION["usage"],
}
STREAM = f"data: {json.dumps(CHUNK)}\n\ndata: [DONE]\n\n"


@pytest.mark.parametrize(
    "stored",
    [SECOND, json.dumps({"api_key": SECOND}), json.dumps({"api_keys": [FIRST, SECOND]})],
    ids=["text", "one", "several"],
)
def test_revoking_the_old_key_after_the_new_one_is_verified_fails_no_call(
    loop: Loop, tmp_path: Path, stored: str
) -> None:
    with (
        Keyholder({FIRST, SECOND}) as provider,
        running(
            loop,
            tmp_path / "functions.log",
            upstream_url=provider.base_url,
            provider_key=FIRST,
        ) as stack,
    ):
        steps = [lambda: store(stack, stored), lambda: provider.accepted.discard(FIRST)]
        assert failures_under_load(stack, steps) == []
    assert provider.answered[0] == FIRST
    assert provider.answered[-1] == SECOND
    assert set(provider.refused) == {FIRST}
    assert len(provider.refused) <= ENVIRONMENTS  # each learns it once
