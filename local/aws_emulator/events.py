"""Background work of a stack: rules, event sources, executions."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from typing import Any

from local.aws_emulator.event_bridge import Dispatcher, read_rules
from local.aws_emulator.queues import AwsCaller
from local.aws_emulator.state_machines import Executions
from local.cloudformation.template import Template
from local.lambda_runtime.environments import LambdaFunction
from local.lambda_runtime.event_sources import Poller, read_event_sources


class StackEvents:
    """Runs the background work of a stack."""

    def __init__(self, template: Template, functions: Mapping[str, LambdaFunction]) -> None:
        self._template, self._functions = template, functions
        self._exit = AsyncExitStack()
        self.job_queue: str | None = None  # the first queue that invokes a function

    async def start(self, endpoint_url: str, later: Callable[[Callable[[], object]], None]) -> None:
        """Start; `later` receives work to run once state machines exist."""
        aws = AwsCaller(endpoint_url)
        self._exit.push_async_callback(aws.close)
        self._publish_executions(aws, later)
        dispatcher = Dispatcher(aws, self._functions)
        self._exit.push_async_callback(dispatcher.stop)
        for rule in read_rules(self._template, endpoint_url):
            self._keep_running(dispatcher.serve(rule))
        for source in read_event_sources(self._template):
            url = self._template.ref(source.queue)
            self.job_queue = self.job_queue or url
            self._keep_running(Poller(source, aws, url, self._functions[source.function]).run())

    async def stop(self) -> None:
        """Stop, including every execution."""
        await self._exit.aclose()

    def _publish_executions(
        self, aws: AwsCaller, later: Callable[[Callable[[], object]], None]
    ) -> None:
        machines = map(self._template.ref, self._template.ids("AWS::StepFunctions::StateMachine"))
        executions = Executions(aws, list(machines))
        later(executions.enable)
        self._exit.push_async_callback(executions.stop)
        self._keep_running(executions.tell())

    def _keep_running(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        task.add_done_callback(report_crash)

        async def end() -> None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        self._exit.push_async_callback(end)


def report_crash(task: asyncio.Task[None]) -> None:
    """Report background work that ended with an error."""
    if not task.cancelled() and (error := task.exception()):
        context = {"message": "The local stack's event processing failed", "exception": error}
        task.get_loop().call_exception_handler(context)
