"""Background work of a stack: rules, event sources, status changes of executions."""

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack
from typing import Any

import aiohttp

from local.aws_emulator.event_bridge import Dispatcher, read_rules
from local.aws_emulator.moto_server import Work
from local.aws_emulator.queues import AwsCaller
from local.cloudformation.intrinsics import ACCOUNT, REGION
from local.cloudformation.template import Template
from local.lambda_runtime.environments import LambdaFunction
from local.lambda_runtime.event_sources import Poller, read_event_sources

INTERVAL_SECONDS = 0.5


def start_events(
    template: Template,
    functions: Mapping[str, LambdaFunction],
    endpoint_url: str,
    defer: Callable[[Work], None],
    running: AsyncExitStack,
) -> None:
    """Start the work, which ends with `running`; `defer` receives work for state machines."""
    aws = AwsCaller(endpoint_url)
    running.push_async_callback(aws.close)
    machines = map(template.ref, template.ids("AWS::StepFunctions::StateMachine"))
    executions = Executions(aws, list(machines))
    defer(executions.enable)
    running.push_async_callback(executions.stop)
    keep_running(executions.publish(), running)
    dispatcher = Dispatcher(aws, functions)
    for queue_url, targets in read_rules(template, endpoint_url):
        keep_running(dispatcher.serve(queue_url, targets), running)
    for source in read_event_sources(template):
        keep_running(Poller(source, aws, functions[source.function]).run(), running)


def keep_running(work: Coroutine[Any, Any, None], running: AsyncExitStack) -> None:
    """Run work until `running` ends, and report a crash."""
    task = asyncio.create_task(work)
    task.add_done_callback(report_crash)

    async def end() -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    running.push_async_callback(end)


def report_crash(task: asyncio.Task[None]) -> None:
    """Report background work that ended with an error."""
    if not task.cancelled() and (error := task.exception()):
        context = {"message": "The local stack's event processing failed", "exception": error}
        task.get_loop().call_exception_handler(context)


class Executions:
    """Publishes the status changes of executions, which moto does not."""

    def __init__(self, aws: AwsCaller, machines: list[str]) -> None:
        self._aws, self._machines = aws, machines
        self._published: dict[str, str] = {}
        self._enabled = False

    def enable(self) -> None:
        """Start polling, once state machines exist; earlier polls would load moto's interpreter."""
        self._enabled = True

    async def publish(self) -> None:
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
            if status == "RUNNING":
                await self._aws.call("states", "StopExecution", executionArn=arn)

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
            execution = await self._aws.call("states", "DescribeExecution", executionArn=arn)
            event = {
                "Source": "aws.states",
                "DetailType": "Step Functions Execution Status Change",
                "Resources": [arn],
                "Detail": json.dumps(status_change(execution)),
            }
            await self._aws.call("events", "PutEvents", Entries=[event])
        except aiohttp.ClientError:
            return  # too large for EventBridge; AWS omits it too


def status_change(execution: dict[str, Any]) -> dict[str, Any]:
    """Return the detail of an execution's status change event."""
    texts = ("executionArn", "stateMachineArn", "name", "status", "input", "output")
    stopped = execution.get("stopDate")
    return {
        **{key: execution.get(key) for key in (*texts, "error", "cause")},
        "startDate": round(execution["startDate"] * 1000),
        "stopDate": None if stopped is None else round(stopped * 1000),
        "inputDetails": {"included": True},
        "outputDetails": {"included": True} if execution.get("output") else None,
    }
