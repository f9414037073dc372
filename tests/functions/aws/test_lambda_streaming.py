"""The shim, on every release of Lambda's Python runtime that it claims to fit."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from local.lambda_runtime.invocation import FunctionFailedError
from tests.local.small_stack import function, in_loop

ROOT = Path(__file__).parents[3]
PINS = ROOT / "requirements" / "awslambdaric"
VERSIONS = sorted({pin.stem for pin in PINS.glob("*.txt")} | {"3.0.0", "4.2.2"})
LAYER = ROOT / "layers" / "llm_relay"

HANDLER = """
import os, pathlib, time
import awslambdaric
from llm_relay.aws.lambda_streaming import StreamResponse

def body(event):
    yield b"first"
    seen = pathlib.Path(os.environ["SCRATCH"], "seen")
    while not seen.exists():
        time.sleep(0.01)
    if event.get("breaks"):
        raise RuntimeError("a prompt, for all we know")
    yield b""
    yield b"last"

def handler(event, context):
    if event.get("plain"):
        return {"runtime": awslambdaric.__version__}
    return StreamResponse(200, {"content-type": "text/event-stream"}, body(event))
"""
HEAD = b'{"statusCode": 200, "headers": {"content-type": "text/event-stream"}}' + bytes(8)

linux = pytest.mark.skipif(sys.platform != "linux", reason="awslambdaric has wheels for Linux only")
pytestmark = [linux, pytest.mark.parametrize("version", VERSIONS)]


def runtime_of(version: str) -> tuple[Path, ...]:
    installed = ROOT / ".venv" / "runtimes" / version
    assert installed.is_dir(), f"make .venv/dev installs awslambdaric {version}"
    return (installed, LAYER)


@in_loop
async def test_a_stream_is_sent_in_pieces_while_the_handler_continues(
    tmp_path: Path, version: str
) -> None:
    async with function(tmp_path, HANDLER, layers=runtime_of(version)) as small:
        invocation = small.invoke(b"{}")
        answer = await invocation.answer()
        assert answer.streaming
        assert answer.content_type == "application/vnd.awslambda.http-integration-response"
        received = b""
        while received != HEAD + b"first":
            received += await anext(invocation)
        (tmp_path / "seen").touch()  # the handler waits for this
        assert b"".join([piece async for piece in invocation]) == b"last"


@in_loop
async def test_a_failing_body_is_reported_to_lambda_by_its_type_only(
    tmp_path: Path, version: str
) -> None:
    (tmp_path / "seen").touch()
    async with function(tmp_path, HANDLER, layers=runtime_of(version)) as small:
        with pytest.raises(FunctionFailedError) as failure:
            await small.invoke(b'{"breaks": true}').read()
        assert failure.value.kind == "Function.RuntimeError"
        assert b"prompt" not in failure.value.payload
        assert b"last" in await small.invoke(b"{}").read()  # the environment goes on


@in_loop
async def test_an_ordinary_result_is_untouched(tmp_path: Path, version: str) -> None:
    async with function(tmp_path, HANDLER, layers=runtime_of(version)) as small:
        result = await small.invoke(b'{"plain": true}').read()
    assert json.loads(result) == {"runtime": version}
