"""Execution environments: processes that each handle one invocation at a time."""

import asyncio
import importlib.util
import os
import sys
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from local.cloudformation.intrinsics import REGION
from local.cloudformation.template import FunctionSpec
from local.lambda_runtime.invocation import FunctionFailedError, Invocation
from local.lambda_runtime.runtime_api import CREDENTIALS, RuntimeApi

ENTRY = Path(__file__).with_name("function_process.py")
INIT_SECONDS = 10.0  # Lambda's limit for the init phase, on top of the function's timeout
CONCURRENCY_LIMIT = 10


def default_runtime() -> str:
    """Return RELAY_LOCAL_RUNTIME, or `awslambdaric` if installed, or `python`."""
    found = "awslambdaric" if importlib.util.find_spec("awslambdaric") else "python"
    return os.environ.get("RELAY_LOCAL_RUNTIME") or found


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSettings:
    """Settings shared by all function processes of a stack."""

    environment: Mapping[str, str]
    log: IO[bytes]
    runtime: str


def variables(spec: FunctionSpec, settings: ProcessSettings, address: str) -> dict[str, str]:
    """Return the environment variables of a function's process."""
    return {
        "_HANDLER": spec.handler,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_python{sys.version_info.major}.{sys.version_info.minor}",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(spec.memory_megabytes),
        "AWS_LAMBDA_FUNCTION_NAME": spec.name,
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{spec.name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": "local",
        "AWS_LAMBDA_RUNTIME_API": address,
        "AWS_REGION": REGION,
        "LAMBDA_TASK_ROOT": str(spec.code),
        "LANG": "en_US.UTF-8",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "PYTHONPATH": os.pathsep.join(map(str, (spec.code, *spec.layers))),
        "TZ": ":UTC",
        **(snapstart_variables(address) if spec.starts_from_snapshot else ON_DEMAND_VARIABLES),
        **spec.environment,
        **settings.environment,
    }


ON_DEMAND_VARIABLES = {
    "AWS_ACCESS_KEY_ID": "local",
    "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
    "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
    "AWS_SECRET_ACCESS_KEY": "local",
}


def snapstart_variables(address: str) -> dict[str, str]:
    """Return the variables of SnapStart environments, which fetch their credentials."""
    return {
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": "local",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://{address}{CREDENTIALS}",
        "AWS_LAMBDA_FUNCTION_VERSION": "1",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start",
    }


class Environment:
    """One function process and its Runtime API."""

    def __init__(self, function: "LambdaFunction") -> None:
        self._function = function
        self._spec = function.spec
        self._fault: FunctionFailedError | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.api = RuntimeApi(self._spec.arn, self._take)
        self.warm = False
        self.process_id: int | None = None

    async def run(self) -> FunctionFailedError:
        """Run the process to its end; return the failure for an unfinished invocation."""
        address = await self.api.start()
        try:
            self._process = await self._spawn(address)
            self.process_id = self._process.pid
            self._watch(INIT_SECONDS + self._spec.timeout_seconds)
            try:
                code = await self._process.wait()
            finally:
                self._kill()
                await self._process.wait()
        finally:
            self._unwatch()
            await self.api.stop()
        return self._fault or self.api.init_error or exit_error(code)

    async def _spawn(self, address: str) -> asyncio.subprocess.Process:
        process_settings = self._function.process_settings
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # the folder of the script is no place to import from
            "-u",  # the log is read while it is written
            str(ENTRY),
            process_settings.runtime,
            self._spec.handler,
            cwd=self._spec.code,
            env=variables(self._spec, process_settings, address),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=process_settings.log,
            stderr=process_settings.log,
            start_new_session=True,  # Ctrl-C is for the stack, which then ends its functions
        )

    def _kill(self) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()

    async def _take(self) -> Invocation:
        self._unwatch()
        self.warm = True
        invocation = await self._function.next_invocation()
        invocation.deadline_seconds = time.time() + self._spec.timeout_seconds
        self._watch(self._spec.timeout_seconds)
        return invocation

    def _watch(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._expire)

    def _unwatch(self) -> None:
        if self._timer:
            self._timer.cancel()

    def _expire(self) -> None:
        self._fault = FunctionFailedError(
            "Sandbox.Timedout", f"Task timed out after {self._spec.timeout_seconds:.2f} seconds"
        )
        self._kill()


class LambdaFunction:
    """A function that scales like Lambda: an idle environment, or a new one, or a queue."""

    def __init__(self, spec: FunctionSpec, process_settings: ProcessSettings, limit: int) -> None:
        self.spec, self.process_settings = spec, process_settings
        self.loop = asyncio.get_running_loop()
        self._limit = limit
        self._waiting: deque[Invocation] = deque()
        self._idle: deque[asyncio.Future[Invocation]] = deque()
        self._environments: dict[Environment, asyncio.Task[None]] = {}

    def invoke(self, event: bytes) -> Invocation:
        """Send an event to the function; the invocation runs even if no one awaits it."""
        invocation = Invocation(event)
        self._waiting.append(invocation)
        self._dispatch()
        return invocation

    async def invoke_and_read(self, event: bytes) -> tuple[bytes, bool]:
        """Invoke the function; return its payload and whether it is an error."""
        try:
            return await self.invoke(event).read(), False
        except FunctionFailedError as error:
            return error.payload, True

    @property
    def process_ids(self) -> list[int]:
        """Process ids of the environments; for any thread."""
        environments = list(self._environments)
        return [each.process_id for each in environments if each.process_id is not None]

    async def next_invocation(self) -> Invocation:
        """Wait for the next invocation for an idle environment."""
        turn: asyncio.Future[Invocation] = asyncio.get_running_loop().create_future()
        self._idle.append(turn)
        self._dispatch()
        return await turn

    async def close(self) -> None:
        """Stop every process."""
        self._limit = 0
        tasks = list(self._environments.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        while self._waiting:
            self._waiting.popleft().finish(exit_error(0))

    def _dispatch(self) -> None:
        while self._waiting and self._idle:
            turn = self._idle.pop()  # the most recently used, as on Lambda
            if not turn.done():
                turn.set_result(self._waiting.popleft())
        starting = sum(not environment.warm for environment in self._environments)
        room = self._limit - len(self._environments)
        for _ in range(min(room, len(self._waiting) - starting)):
            environment = Environment(self)
            self._environments[environment] = asyncio.create_task(self._run(environment))

    async def _run(self, environment: Environment) -> None:
        failure = exit_error(0)
        try:
            failure = await environment.run()
        finally:
            del self._environments[environment]
            left = environment.api.current
            if not environment.warm and self._waiting:
                left = self._waiting.popleft()
            if left:
                left.finish(failure)
            self._dispatch()


def exit_error(code: int) -> FunctionFailedError:
    """Return Lambda's error for a process that exited."""
    how = f"signal: {-code}" if code < 0 else f"exit status {code}"
    return FunctionFailedError("Runtime.ExitError", f"Runtime exited with error: {how}")
