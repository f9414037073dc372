"""Executions of a stack's state machines: EventBridge is told of them, and they end with it."""

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
    """The executions of some state machines, which moto runs and tells nobody about."""

    def __init__(self, aws: AwsCaller, machines: list[str]) -> None:
        self._aws, self._machines = aws, machines
        self._told: dict[str, str] = {}
        self._possible = False

    def become_possible(self) -> None:
        """There are state machines now: to ask about them sooner would make moto slow."""
        self._possible = True

    async def tell(self) -> None:
        """Tells EventBridge of every execution's begin and end, until it is cancelled."""
        while True:
            await asyncio.sleep(INTERVAL_SECONDS)
            for arn, status in self._statuses():
                if self._told.get(arn) != status:
                    await self._tell_of(arn)
                    self._told[arn] = status

    async def stop(self) -> None:
        """Stops what still runs, which would otherwise go on for as long as the process lives."""
        for arn, status in self._statuses():
            if status == RUNNING:
                await self._aws.call("states", "AWSStepFunctions.StopExecution", executionArn=arn)

    def _statuses(self) -> Iterator[tuple[str, str]]:
        if not self._possible:
            return
        from moto.stepfunctions.responses import (  # noqa: PLC0415 - takes more than a second
            get_backend,
        )

        backend: Any = get_backend(ACCOUNT, REGION)
        for machine in list(backend.state_machines):
            if machine.arn in self._machines:
                for execution in list(machine.executions):
                    yield execution.execution_arn, execution.status

    async def _tell_of(self, arn: str) -> None:
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
            return  # an event too large for EventBridge, which AWS leaves out likewise


def status_change(execution: dict[str, Any]) -> dict[str, Any]:
    """The detail of the event that Step Functions sends of an execution."""
    texts = ("executionArn", "stateMachineArn", "name", "status", "input", "output")
    dates = ("startDate", "stopDate")
    return {
        **{key: execution.get(key) for key in (*texts, "error", "cause")},
        **{key: milliseconds(execution.get(key)) for key in dates},
        "inputDetails": {"included": True},
        "outputDetails": {"included": True} if execution.get("output") else None,
    }


def milliseconds(seconds: float | None) -> int | None:
    """A time as events have it."""
    return None if seconds is None else round(seconds * 1000)
