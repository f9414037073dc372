"""`make run` and `make demo` as processes: what they print, leave behind and end with."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import openai
import pytest
import requests

from local.provider.server import Provider
from tests.scripted_provider import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.conftest import Loop

ROOT = Path(__file__).parents[2]
NOTE = ROOT / ".relay-local.json"
LOG = ROOT / ".relay-local.log"
MODEL = "abliterated-model"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def local(command: str, **environ: str) -> Iterator[subprocess.Popen[str]]:
    """A process of the local stack, killed if a test forgets it."""
    bare = {name: value for name, value in os.environ.items() if "ABLIT" not in name}
    process = subprocess.Popen(  # noqa: S603 - ourselves
        [sys.executable, "-m", "local", command],
        cwd=ROOT,
        env=bare | environ,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout
        process.stdout.close()


def until_serving(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    printed = ""
    for line in process.stdout:
        printed += line
        if line.startswith("Serving"):
            return printed
    raise AssertionError(printed)


def children_of(pid: int) -> list[int]:
    """Processes whose parent is this one (Linux)."""
    stats = [path.read_text() for path in Path("/proc").glob("[0-9]*/stat")]
    rows = [stat.rpartition(")")[2].split() + [stat.split()[0]] for stat in stats]
    return [int(row[-1]) for row in rows if int(row[1]) == pid]


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_demo_proves_every_vector_and_ends_with_0() -> None:
    with local("demo", PORT=str(free_port())) as process:
        printed, _ = process.communicate(timeout=60)
    vectors = json.loads((ROOT / "events" / "vectors.json").read_text())
    assert process.returncode == 0, printed
    assert printed.count("PASS") == len(vectors)
    assert "FAIL" not in printed


def test_demo_ends_with_1_if_a_vector_fails(loop: Loop) -> None:
    provider = Provider(key="sk-x")
    url = loop.run(provider.start())
    with local("demo", PORT="0", UPSTREAM_BASE_URL=url, ABLIT_KEY="wrong") as process:
        printed, _ = process.communicate(timeout=60)
    loop.run(provider.stop())
    assert process.returncode == 1
    assert "FAIL" in printed
    assert "provider_key_rejected" in printed


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_run_serves_until_it_is_told_to_stop_and_leaves_nothing(number: signal.Signals) -> None:
    port = free_port()
    with local("run", PORT=str(port)) as process:
        printed = until_serving(process)
        base_url = f"http://127.0.0.1:{port}/v1"
        assert base_url in printed
        assert json.loads(NOTE.read_text())["base_url"] == base_url
        children = children_of(process.pid)
        assert children
        process.send_signal(number)
        process.communicate(timeout=20)
    assert process.returncode == 0
    assert not NOTE.exists()
    assert not any(map(alive, children))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_nothing_outlives_a_stack_that_is_killed() -> None:
    with local("run", PORT="0") as process:
        until_serving(process)
        children = children_of(process.pid)
        process.kill()
        process.wait()
    NOTE.unlink(missing_ok=True)
    wait_until(lambda: not any(map(alive, children)))


def test_a_taken_port_is_told_in_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        with local("run", PORT=port) as process:
            printed, _ = process.communicate(timeout=20)
    assert process.returncode == 1
    assert port in printed
    assert "PORT=" in printed
    assert "Traceback" not in printed


def test_no_prompt_answer_or_key_is_in_any_line_that_any_process_prints(loop: Loop) -> None:
    provider_key, client_key = "ak_canary_provider_0123456789", "sk-canary-client-0123456789"
    provider = Provider(key=provider_key)
    url = loop.run(provider.start())
    stack = {"PORT": "0", "RELAY_CLIENT_KEY": client_key, "UPSTREAM_BASE_URL": url}
    with local("run", **stack, ABLIT_KEY=provider_key) as process:
        banner = until_serving(process)
        base_url = json.loads(NOTE.read_text())["base_url"]
        ask_in_every_way(base_url, client_key)
        provider.key = "ak_another_canary_0123456789"
        ask_in_every_way(base_url, client_key)
        process.send_signal(signal.SIGINT)
        printed, _ = process.communicate(timeout=20)
    loop.run(provider.stop())
    assert printed.count("POST /v1/chat/completions") >= 8
    logged = LOG.read_text()
    assert logged.count('"message":"request"') >= 12
    for secret in ("canary-prompt", provider_key, "ak_another"):
        assert secret not in banner + printed + logged
    assert client_key not in printed + logged  # the banner shows it, as it is for the user


def ask_in_every_way(base_url: str, key: str) -> None:
    messages: Any = [{"role": "user", "content": "Reply with: canary-prompt"}]
    with openai.OpenAI(base_url=base_url, api_key=key, max_retries=0) as client:
        for suffix in ("", "@fault=cut", "@fault=reset", "@status=400", "@error-body=html"):
            for stream in (False, True):
                try:
                    create: Any = client.chat.completions.create
                    answer = create(model=MODEL + suffix, messages=messages, stream=stream)
                    list(answer)
                    create = client.responses.create
                    list(create(model=MODEL + suffix, input=messages, stream=stream))
                except openai.APIError:
                    pass
    headers = {"Authorization": f"Bearer {key}"}
    requests.post(f"{base_url}/responses", data="canary-prompt", headers=headers, timeout=30)
    wrong = {"Authorization": "Bearer canary-prompt-as-a-key-0000"}
    requests.get(f"{base_url}/models?q=canary-prompt", headers=wrong, timeout=30)
