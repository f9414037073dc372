"""Executions of a stack's state machines: publishes their status changes."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import aiohttp

from local.aws_emulator.queues import AwsCaller
from local.cloudformation.intrinsics import ACCOUNT, REGION

INTERVAL_SECONDS = 0.5
RUNNING = "RUNNING"


class Executions:
    """Publishes the status changes of executions, which moto does not."""

    def __init__(self, aws: AwsCaller, machines: list[str]) -> None:
        self._aws, self._machines = aws, machines
        self._published: dict[str, str] = {}
        self._enabled = False

    def enable(self) -> None:
        """Start polling, once state machines exist; earlier polls would load moto's interpreter."""
        self._enabled = True

    async def tell(self) -> None:
        """Publish every status change to EventBridge until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL_SECONDS)
            for arn, status in self._statuses():
                if self._published.get(arn) != status:
                    await self._publish(arn)
                    self._published[arn] = status

    async def stop(self) -> None:
        """Stop running executions."""
        for arn, status in self._statuses():
            if status == RUNNING:
                await self._aws.call("states", "AWSStepFunctions.StopExecution", executionArn=arn)

    def _statuses(self) -> Iterator[tuple[str, str]]:
        if not self._enabled:
            return
        from moto.stepfunctions.responses import (  # noqa: PLC0415 - takes more than a second
            get_backend,
        )

        backend: Any = get_backend(ACCOUNT, REGION)
        for machine in list(backend.state_machines):
            if machine.arn in self._machines:
                for execution in list(machine.executions):
                    yield execution.execution_arn, execution.status

    async def _publish(self, arn: str) -> None:
        try:
            describe = "AWSStepFunctions.DescribeExecution"
            said = await self._aws.call("states", describe, executionArn=arn)
            event = {
                "Source": "aws.states",
                "DetailType": "Step Functions Execution Status Change",
                "Resources": [arn],
                "Detail": json.dumps(status_change(said)),
            }
            await self._aws.call("events", "AWSEvents.PutEvents", Entries=[event])
        except aiohttp.ClientError:
            return  # too large for EventBridge; AWS omits it too


def status_change(execution: dict[str, Any]) -> dict[str, Any]:
    """Return the detail of an execution's status change event."""
    texts = ("executionArn", "stateMachineArn", "name", "status", "input", "output")
    dates = ("startDate", "stopDate")
    return {
        **{key: execution.get(key) for key in (*texts, "error", "cause")},
        **{key: milliseconds(execution.get(key)) for key in dates},
        "inputDetails": {"included": True},
        "outputDetails": {"included": True} if execution.get("output") else None,
    }


def milliseconds(seconds: float | None) -> int | None:
    """Return a time in milliseconds."""
    return None if seconds is None else round(seconds * 1000)
