"""Functions in their processes, on both runtimes."""

import asyncio
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from local.lambda_runtime.environments import LambdaFunction
from local.lambda_runtime.invocation import FunctionFailedError
from local.settings import ROOT
from tests.local.small_stack import RUNTIMES, function, in_loop

ECHO = """
import os
def handler(event, context):
    print("one line", flush=True)
    return {"event": event, "pid": os.getpid(), "environment": dict(os.environ), "context": {
        "id": context.aws_request_id, "left": context.get_remaining_time_in_millis(),
        "memory": context.memory_limit_in_mb, "name": context.function_name,
        "arn": context.invoked_function_arn}}
"""
# Two calls that each wait for the other: they end only if they run at the same time.
MEET = """
import os, pathlib, time
def handler(event, context):
    here = pathlib.Path(os.environ["SCRATCH"])
    (here / event["me"]).touch()
    while not (here / event["other"]).exists():
        time.sleep(0.01)
    return os.getpid()
"""
SLEEP = "import time\ndef handler(event, context):\n    time.sleep(event)\n    return event\n"
RAISE = 'def handler(event, context):\n    raise ValueError("as asked")\n'
EXIT = "import os\ndef handler(event, context):\n    os._exit(event)\n"
BROKEN = "import there_is_no_such_module\n"
LARGE = 'def handler(event, context):\n    return "x" * event\n'

both_runtimes = pytest.mark.parametrize("runtime", RUNTIMES)


async def call(running: LambdaFunction, event: Any = None) -> Any:
    return json.loads(await running.invoke(json.dumps(event).encode()).read())


async def failure(running: LambdaFunction, event: Any = None) -> FunctionFailedError:
    with pytest.raises(FunctionFailedError) as caught:
        await call(running, event)
    return caught.value


@both_runtimes
@in_loop
async def test_a_handler_gets_its_event_its_context_and_its_environment(
    tmp_path: Path, runtime: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OF_THE_PARENT", "1")
    async with function(tmp_path, ECHO, runtime=runtime, environment={"OWN": "yes"}) as running:
        said = await call(running, {"text": "grüße"})
    assert said["event"] == {"text": "grüße"}
    assert said["context"]["name"] == "small"
    assert said["context"]["memory"] == "128"
    assert said["context"]["arn"] == running.spec.arn
    assert 0 < said["context"]["left"] <= 60_000
    assert said["environment"]["OWN"] == "yes"
    assert said["environment"]["AWS_REGION"] == "us-east-1"
    assert "OF_THE_PARENT" not in said["environment"]
    assert b"one line" in (tmp_path / "functions.log").read_bytes()


@both_runtimes
@in_loop
async def test_an_environment_is_kept_warm(tmp_path: Path, runtime: str) -> None:
    async with function(tmp_path, ECHO, runtime=runtime) as running:
        pids = {(await call(running))["pid"] for _ in range(3)}
    assert len(pids) == 1


@both_runtimes
@in_loop
async def test_two_concurrent_calls_run_in_two_environments(tmp_path: Path, runtime: str) -> None:
    async with function(tmp_path, MEET, runtime=runtime) as running:
        pids = await asyncio.gather(
            call(running, {"me": "a", "other": "b"}), call(running, {"me": "b", "other": "a"})
        )
    assert len(set(pids)) == 2


@in_loop
async def test_calls_over_the_limit_wait_their_turn(tmp_path: Path) -> None:
    async with function(tmp_path, ECHO, limit=1) as running:
        said = await asyncio.gather(*(call(running, number) for number in range(4)))
    assert [one["event"] for one in said] == [0, 1, 2, 3]
    assert len({one["pid"] for one in said}) == 1


@both_runtimes
@in_loop
async def test_a_handlers_exception_is_a_function_error(tmp_path: Path, runtime: str) -> None:
    async with function(tmp_path, RAISE, runtime=runtime) as running:
        error = await failure(running)
    assert (error.kind, error.message) == ("ValueError", "as asked")
    assert json.loads(error.payload)["errorMessage"] == "as asked"


@both_runtimes
@in_loop
async def test_a_process_that_ends_is_a_function_error_and_is_replaced(
    tmp_path: Path, runtime: str
) -> None:
    async with function(tmp_path, EXIT, runtime=runtime) as running:
        assert (await failure(running, 3)).message == "Runtime exited with error: exit status 3"
        assert (await failure(running, 4)).message == "Runtime exited with error: exit status 4"


@both_runtimes
@in_loop
async def test_an_import_error_is_reported_to_every_caller(tmp_path: Path, runtime: str) -> None:
    async with function(tmp_path, BROKEN, runtime=runtime) as running:
        errors = await asyncio.gather(failure(running), failure(running))
    assert all("there_is_no_such_module" in error.message for error in errors)


@both_runtimes
@in_loop
async def test_a_timeout_kills_the_process_and_the_next_call_gets_a_new_one(
    tmp_path: Path, runtime: str
) -> None:
    async with function(tmp_path, SLEEP, runtime=runtime, timeout_seconds=3.0) as running:
        error = await failure(running, 600)
        assert error.message == "Task timed out after 3.00 seconds"
        assert await call(running, 0) == 0


@both_runtimes
@in_loop
async def test_an_answer_over_lambdas_limit_is_a_function_error(
    tmp_path: Path, runtime: str
) -> None:
    async with function(tmp_path, LARGE, runtime=runtime) as running:
        assert len(await call(running, 6_000_000)) == 6_000_000
        error = await failure(running, 6_300_000)
    assert error.kind == "Function.ResponseSizeTooLarge"


@in_loop
async def test_a_process_killed_while_idle_is_replaced(tmp_path: Path) -> None:
    async with function(tmp_path, ECHO) as running:
        pid = (await call(running))["pid"]
        os.kill(pid, signal.SIGKILL)
        while running.process_ids:
            await asyncio.sleep(0.01)
        assert (await call(running))["pid"] != pid


@both_runtimes
@in_loop
async def test_closing_a_function_ends_its_processes(tmp_path: Path, runtime: str) -> None:
    async with function(tmp_path, ECHO, runtime=runtime) as running:
        pid = (await call(running))["pid"]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@in_loop
async def test_a_caller_that_stops_waiting_does_not_stop_the_function(tmp_path: Path) -> None:
    async with function(tmp_path, MEET) as running:
        waiting = asyncio.create_task(call(running, {"me": "a", "other": "b"}))
        while not (tmp_path / "a").exists():
            await asyncio.sleep(0.01)
        waiting.cancel()
        assert isinstance(await call(running, {"me": "b", "other": "a"}), int)


@in_loop
async def test_the_deadline_is_that_of_the_timeout(tmp_path: Path) -> None:
    async with function(tmp_path, ECHO, timeout_seconds=700.0) as running:
        invocation = running.invoke(b"null")
        await invocation.read()
    assert invocation.deadline_seconds == pytest.approx(time.time() + 700, abs=60)


FLOOD = """
from llm_relay.aws.lambda_streaming import StreamResponse
def handler(event, context):
    return StreamResponse(200, {}, (bytes(1 << 20) for _ in range(64)))
"""


@both_runtimes
@in_loop
async def test_closing_a_function_does_not_wait_for_a_reader(tmp_path: Path, runtime: str) -> None:
    layers = (ROOT / "layers/llm_relay",)
    async with function(tmp_path, FLOOD, runtime=runtime, layers=layers) as running:
        invocation = running.invoke(b"null")
        assert (await invocation.answer()).streaming
    with pytest.raises(FunctionFailedError):
        await invocation.read()
