"""A stack with a state machine, a queue and a bucket, and what drives and watches it."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from local.stack import Stack
from tests.local.small_stack import small_stack

TEMPLATE = Path(__file__).with_name("small_batches") / "template.yaml"
TIMEOUT_SECONDS = 60
T = TypeVar("T")


@asynccontextmanager
async def batch_stack(tmp_path: Path, **parameters: object) -> AsyncIterator[Stack]:
    """The stack of `small_batches/template.yaml`."""
    async with small_stack(tmp_path, template=TEMPLATE, parameters=parameters) as stack:
        yield stack


async def until(look: Callable[[], T | None]) -> T:
    """What a look finds, as soon as it finds something."""
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while not (found := await asyncio.to_thread(look)):
            await asyncio.sleep(0.02)
        return found


def lines(path: Path) -> list[Any]:
    """What a function has noted in a file so far, one JSON value a line."""
    return list(map(json.loads, path.read_text().splitlines())) if path.exists() else []


async def start(stack: Stack, *items: dict[str, Any]) -> str:
    """Starts an execution over some items; returns its ARN."""
    await asyncio.to_thread(put_items, stack, "items.json", items)
    given = {"detail": {"bucket": {"name": stack.bucket}, "object": {"key": "items.json"}}}
    started = await asyncio.to_thread(
        stack.aws("stepfunctions").start_execution,
        stateMachineArn=stack.template.ref("Machine"),
        name=str(uuid.uuid4()),  # moto gives all that have none the same ARN
        input=json.dumps(given),
    )
    return str(started["executionArn"])


def put_items(stack: Stack, key: str, items: tuple[dict[str, Any], ...]) -> None:
    """Puts items into the stack's bucket."""
    stack.aws("s3").put_object(Bucket=stack.bucket, Key=key, Body=json.dumps(items))


async def ended(stack: Stack, execution: str) -> dict[str, Any]:
    """What Step Functions says of an execution, once it is over."""

    def look() -> dict[str, Any] | None:
        said: dict[str, Any] = stack.aws("stepfunctions").describe_execution(executionArn=execution)
        return None if said["status"] == "RUNNING" else said

    return await until(look)


async def outputs(stack: Stack, *items: dict[str, Any]) -> list[dict[str, Any]]:
    """What an execution over some items gives."""
    said = await ended(stack, await start(stack, *items))
    assert said["status"] == "SUCCEEDED", said
    output: list[dict[str, Any]] = json.loads(said["output"])
    return output
