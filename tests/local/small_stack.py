"""A stack small enough for one test: a template, tiny handlers, and what starts and calls them."""

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ParamSpec

import aiohttp

from local.cloudformation.template import FunctionSpec
from local.lambda_runtime.environments import LambdaFunction, ProcessSettings
from local.settings import Settings
from local.stack import Stack

FILES = Path(__file__).with_name("small_functions")
CLIENT_KEY = "sk-relay-local-of-a-small-stack"
AUTHORIZED = {"Authorization": f"Bearer {CLIENT_KEY}"}
RUNTIMES = ["awslambdaric", "python"]
P = ParamSpec("P")


def in_loop(test: Callable[P, Awaitable[None]]) -> Callable[P, None]:
    """Runs an async test in an event loop of its own."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        async def body() -> None:
            await test(*args, **kwargs)

        asyncio.run(body())

    return run


@asynccontextmanager
async def small_stack(
    tmp_path: Path, log: Callable[[str], None] = lambda _: None, **changes: Any
) -> AsyncIterator[Stack]:
    """The stack of `small_functions/template.yaml`, or of another template."""
    settings = Settings(
        template=changes.pop("template", FILES / "template.yaml"),
        log=tmp_path / "functions.log",
        client_key=CLIENT_KEY,
        environment={"SCRATCH": str(tmp_path), **changes.pop("environment", {})},
        **changes,
    )
    async with Stack(settings, log) as stack:
        yield stack


@asynccontextmanager
async def client(
    stack: Stack, trace: aiohttp.TraceConfig | None = None
) -> AsyncIterator[aiohttp.ClientSession]:
    """A caller with a valid key."""
    async with aiohttp.ClientSession(
        stack.base_url, headers=AUTHORIZED, trace_configs=[trace] if trace else None
    ) as session:
        yield session


@asynccontextmanager
async def function(
    tmp_path: Path, source: str, *, runtime: str = "awslambdaric", **changes: Any
) -> AsyncIterator[LambdaFunction]:
    """A function with the given source for its handler."""
    code = tmp_path / "code"
    code.mkdir(exist_ok=True)
    (code / "handler.py").write_text(source)
    limit = changes.pop("limit", 10)
    spec = FunctionSpec(
        **{
            "logical_id": "SmallFunction",
            "arn": "arn:aws:lambda:us-east-1:123456789012:function:small",
            "handler": "handler.handler",
            "code": code,
            "layers": (),
            "memory_megabytes": 128,
            "timeout_seconds": 60.0,
            "environment": {},
            **changes,
        }
    )
    with (tmp_path / "functions.log").open("ab") as log:
        process_settings = ProcessSettings(
            environment={"SCRATCH": str(tmp_path)}, log=log, runtime=runtime
        )
        running = LambdaFunction(spec, process_settings, limit)
        try:
            yield running
        finally:
            await running.close()
