"""`make run` and `make demo` as processes: what they print, leave behind and end with."""

import json
import os
import pty
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import openai
import pytest
import requests

from local.provider_simulator.server import Provider
from tests.e2e.commands import (
    children,
    command,
    copy_of_the_project,
    free_port,
    gone,
    lines_until,
)
from tests.e2e.conftest import Loop

MODEL = "abliterated-model"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_of_the_project(tmp_path_factory.mktemp("project"))


def test_demo_passes_every_vector_and_exits_with_0(project: Path) -> None:
    with command(project, "demo", PORT="0") as process:
        printed, errors = process.communicate(timeout=200)
    vectors = json.loads((project / "events" / "vectors.json").read_text())
    assert (process.returncode, errors) == (0, "")
    assert printed.count("PASS") == len(vectors)
    assert "FAIL" not in printed


def test_a_list_of_providers_is_reported_by_its_names(project: Path, loop: Loop) -> None:
    provider = Provider(key="sk-x")
    there = {"name": "there", "base_url": loop.run(provider.start())}
    listed = json.dumps([{"name": "gone", "base_url": "http://127.0.0.1:1"}, there])
    with command(project, "demo", PORT="0", PROVIDERS=listed, ABLIT_KEY="sk-x") as process:
        printed, errors = process.communicate(timeout=200)
    loop.run(provider.stop())
    assert (process.returncode, errors) == (0, "")
    assert "gone, there, from PROVIDERS" in printed
    assert "FAIL" not in printed


def test_demo_exits_with_1_if_a_vector_fails(project: Path, loop: Loop) -> None:
    provider = Provider(key="sk-x")
    url = loop.run(provider.start())
    with command(project, "demo", PORT="0", UPSTREAM_BASE_URL=url, ABLIT_KEY="wrong") as process:
        printed, _ = process.communicate(timeout=200)
    loop.run(provider.stop())
    assert process.returncode == 1
    assert "FAIL" in printed
    assert printed.count("provider_key_rejected") == 1
    failures = printed.count("FAIL")
    hint = "while make run serves, run .venv/bin/relay doctor --local"
    assert f"{failures} of {failures} failed: {hint}" in printed


class OtherProvider(BaseHTTPRequestHandler):
    """A server with a model of its own."""

    def do_GET(self) -> None:
        self.answer({"object": "list", "data": [{"id": "llama3", "object": "model"}]})

    def do_POST(self) -> None:
        model = json.loads(self.rfile.read(int(self.headers["content-length"])))["model"]
        message = {"role": "assistant", "content": "it works"}
        choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
        self.answer({"id": "1", "object": "chat.completion", "model": model, "choices": choices})

    def answer(self, document: dict[str, Any]) -> None:
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


def test_another_provider_is_tested_with_a_model_that_it_lists(project: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), OtherProvider) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/v1"
        with command(project, "demo", PORT="0", UPSTREAM_BASE_URL=url) as process:
            printed, errors = process.communicate(timeout=200)
        server.shutdown()
    assert (process.returncode, errors) == (0, "")
    assert printed.count("PASS") == 1
    assert 'model="llama3"' in printed


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("RELAY_CLIENT_KEY", "short"),
        ("UPSTREAM_BASE_URL", "foo"),
        ("PROVIDER_DIALECT", "azure"),
        ("SIMULATOR_TOKENS_PER_SECOND", "fast"),
    ],
)
def test_a_setting_that_cannot_work_is_one_line_and_no_traceback(
    project: Path, variable: str, value: str
) -> None:
    with command(project, "run", PORT="0", **{variable: value}) as process:
        out, errors = process.communicate(timeout=200)
    assert (process.returncode, len(errors.splitlines())) == (1, 1)
    assert "Traceback" not in out + errors


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_stopped_stack_leaves_no_process_behind(project: Path, number: signal.Signals) -> None:
    port = free_port()
    with command(project, "run", PORT=str(port)) as process:
        lines = lines_until(process, "Ctrl-C")
        assert f"http://127.0.0.1:{port}/v1" in "".join(lines)
        assert requests.get(f"http://127.0.0.1:{port}/health", timeout=200).status_code == 200
        functions = children(process.pid)
        assert functions
        process.send_signal(number)
        output, _ = process.communicate(timeout=200)
        until = time.monotonic() + 100
        while not all(map(gone, functions)) and time.monotonic() < until:
            time.sleep(0.02)
        assert all(map(gone, functions))
    if number != signal.SIGKILL:
        assert process.returncode == 0
        assert "Traceback" not in output
        assert not (project / ".relay-local.json").exists()


def test_a_port_in_use_is_one_line_and_no_traceback(project: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with command(project, "run", PORT=port) as process:
            out, errors = process.communicate(timeout=200)
    assert process.returncode == 1
    assert port in errors
    assert "PORT=18080 make run" in errors
    assert len(errors.splitlines()) == 1
    assert "Traceback" not in out


def test_a_second_stack_in_the_folder_is_refused_and_names_the_first(
    project: Path,
) -> None:
    with command(project, "run", PORT="0") as first:
        lines_until(first, "Ctrl-C")
        note, log = (project / f".relay-local.{kind}" for kind in ("json", "log"))
        before = note.read_text(), log.stat().st_size
        with command(project, "demo", PORT="0") as second:
            out, errors = second.communicate(timeout=200)
        assert (second.returncode, out) == (1, "")
        assert f"already runs in this folder ({json.loads(before[0])['base_url']})" in errors
        assert len(errors.splitlines()) == 1
        assert note.read_text() == before[0]
        assert log.stat().st_size >= before[1]


def test_a_reader_that_leaves_does_not_break_the_demo(project: Path) -> None:
    with command(project, "demo", PORT="0") as process:
        assert process.stdout
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr
        errors = process.stderr.read()
        assert process.wait(60) == 0
    assert errors == ""


def test_no_prompt_answer_or_key_is_in_any_line_that_any_process_prints(
    project: Path, loop: Loop
) -> None:
    provider_key, client_key = "ak_canary_provider_0123456789", "sk-canary-client-0123456789"
    provider = Provider(key=provider_key)
    upstream = {"UPSTREAM_BASE_URL": loop.run(provider.start()), "ABLIT_KEY": provider_key}
    with command(project, "run", PORT="0", RELAY_CLIENT_KEY=client_key, **upstream) as process:
        banner = "".join(lines_until(process, "Ctrl-C"))
        base_url = json.loads((project / ".relay-local.json").read_text())["base_url"]
        ask_in_every_way(base_url, client_key)
        provider.key = "ak_another_canary_0123456789"
        ask_in_every_way(base_url, client_key)
        process.send_signal(signal.SIGINT)
        printed = "".join(process.communicate(timeout=200))
    loop.run(provider.stop())
    logged = (project / ".relay-local.log").read_text()
    assert printed.count("POST /v1/chat/completions") >= 20
    assert logged.count('"message":"request"') >= 20
    for secret in ("canary-prompt", provider_key, "ak_another"):
        assert secret not in banner + printed + logged
    assert client_key not in printed + logged  # the banner shows it, as it is for the user


def ask_in_every_way(base_url: str, key: str) -> None:
    messages: Any = [{"role": "user", "content": "Reply with: canary-prompt"}]
    with openai.OpenAI(base_url=base_url, api_key=key, max_retries=0) as client:
        creates: list[Any] = [client.chat.completions.create, client.responses.create]
        for suffix in ("", "@fault=cut", "@fault=reset", "@status=400", "@fault=malformed"):
            for stream in (False, True):
                for create, name in zip(creates, ("messages", "input"), strict=True):
                    with suppress(openai.APIError):
                        list(create(model=MODEL + suffix, stream=stream, **{name: messages}))
    headers = {"Authorization": f"Bearer {key}"}
    requests.post(f"{base_url}/responses", data="canary-prompt", headers=headers, timeout=30)
    wrong = {"Authorization": "Bearer canary-prompt-as-a-key-0000"}
    requests.get(f"{base_url}/models?q=canary-prompt", headers=wrong, timeout=30)


@pytest.mark.skipif(sys.platform != "linux", reason="needs make's own process group")
def test_ctrl_c_at_a_terminal_makes_make_run_exit_with_0(project: Path) -> None:
    (project / "Makefile").write_text(f"run:\n\t@{sys.executable} -m local run\n")
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(project)
        environ = {"PATH": os.environ["PATH"], "PORT": "0"}
        os.execvpe("make", ["make", "run"], environ)  # noqa: S606, S607 - as a user types it
    printed = ""
    while "Ctrl-C" not in printed:
        printed += os.read(terminal, 1000).decode()
    os.write(terminal, b"\x03")
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(terminal)
    assert status == 0
