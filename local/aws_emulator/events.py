"""What happens in a stack by itself: rules, queues that invoke functions, executions."""

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


class Events:
    """The events of a stack, from the first poll to the last."""

    def __init__(self, template: Template, functions: Mapping[str, LambdaFunction]) -> None:
        self._template, self._functions = template, functions
        self._exit = AsyncExitStack()
        self.job_queue: str | None = None  # its first queue that invokes a function

    async def start(self, endpoint_url: str, later: Callable[[Callable[[], object]], None]) -> None:
        """Begins to listen; hands to `later` what is to be done once there are state machines."""
        aws = AwsCaller(endpoint_url)
        self._exit.push_async_callback(aws.close)
        self._tell_of_executions(aws, later)
        dispatcher = Dispatcher(aws, self._functions)
        self._exit.push_async_callback(dispatcher.stop)
        for rule in read_rules(self._template, endpoint_url):
            self._keep_running(dispatcher.serve(rule))
        for source in read_event_sources(self._template):
            url = self._template.ref(source.queue)
            self.job_queue = self.job_queue or url
            self._keep_running(Poller(source, aws, url, self._functions[source.function]).run())

    async def stop(self) -> None:
        """Stops listening, and every execution."""
        await self._exit.aclose()

    def _tell_of_executions(
        self, aws: AwsCaller, later: Callable[[Callable[[], object]], None]
    ) -> None:
        machines = map(self._template.ref, self._template.ids("AWS::StepFunctions::StateMachine"))
        executions = Executions(aws, list(machines))
        later(executions.become_possible)
        self._exit.push_async_callback(executions.stop)
        self._keep_running(executions.tell())

    def _keep_running(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        task.add_done_callback(complain)

        async def end() -> None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        self._exit.push_async_callback(end)


def complain(task: asyncio.Task[None]) -> None:
    """Says at once of work that was to go on for ever why it did not."""
    if not task.cancelled() and (error := task.exception()):
        context = {"message": "The local stack has lost its events", "exception": error}
        task.get_loop().call_exception_handler(context)
