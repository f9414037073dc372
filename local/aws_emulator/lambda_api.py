"""Lambda's Invoke and GetFunctionConfiguration, in front of moto, of what stacks run."""

import asyncio
import json
import re
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from local.lambda_runtime.environments import LambdaFunction
from local.lambda_runtime.invocation import PAYLOAD_LIMIT_BYTES, FunctionFailedError

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]

ASKED = re.compile(
    r"/2015-03-31/functions/(?:arn:aws:lambda:[^:/]*:\d*:function:)?(?P<name>[^:/]+)"
    r"(?::[^/]*)?/(?P<what>invocations|configuration)"
)
FAILED = [("X-Amz-Function-Error", "Unhandled")]


class LambdaApi:
    """A WSGI application that knows functions and leaves all else to another one."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._functions: dict[str, tuple[LambdaFunction, asyncio.AbstractEventLoop]] = {}
        self._asynchronous: set[asyncio.Future[None]] = set()

    def serve(self, function: LambdaFunction) -> None:
        """Invokes a function of the running event loop for whoever asks for it by its name."""
        self._functions[named(function)] = (function, asyncio.get_running_loop())

    def forget(self, function: LambdaFunction) -> None:
        """Knows a function no more."""
        self._functions.pop(named(function), None)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answers a request."""
        asked = ASKED.fullmatch(environ["PATH_INFO"])
        if not asked:
            return self._application(environ, start_response)
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        kind = environ.get("HTTP_X_AMZ_INVOCATION_TYPE", "RequestResponse")
        if asked["what"] == "configuration":
            status, headers, payload = self._describe(asked["name"])
        else:
            status, headers, payload = self._answer(asked["name"], body or b"{}", kind)
        start_response(f"{status.value} {status.phrase}", headers)
        return [payload]

    def _describe(self, name: str) -> tuple[HTTPStatus, list[tuple[str, str]], bytes]:
        if name not in self._functions:
            return refusal(HTTPStatus.NOT_FOUND, "ResourceNotFoundException")
        spec = self._functions[name][0].spec
        configuration = {
            "FunctionName": name,
            "Timeout": int(spec.timeout_seconds),
            "MemorySize": spec.memory_megabytes,
            "Environment": {"Variables": dict(spec.environment)},
        }
        return HTTPStatus.OK, [], json.dumps(configuration).encode()

    def _answer(
        self, name: str, event: bytes, kind: str
    ) -> tuple[HTTPStatus, list[tuple[str, str]], bytes]:
        if name not in self._functions:
            return refusal(HTTPStatus.NOT_FOUND, "ResourceNotFoundException")
        if len(event) > PAYLOAD_LIMIT_BYTES:
            return refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "RequestTooLargeException")
        function, loop = self._functions[name]
        if kind == "Event":
            loop.call_soon_threadsafe(self._begin, function, event)
            return HTTPStatus.ACCEPTED, [], b""
        payload, failed = asyncio.run_coroutine_threadsafe(ask(function, event), loop).result()
        return HTTPStatus.OK, FAILED if failed else [], payload

    def _begin(self, function: LambdaFunction, event: bytes) -> None:
        drained = asyncio.ensure_future(function.invoke(event).drain())
        self._asynchronous.add(drained)
        drained.add_done_callback(self._asynchronous.discard)


def named(function: LambdaFunction) -> str:
    """A function's name: the last part of its ARN."""
    return function.spec.arn.rpartition(":")[2]


async def ask(function: LambdaFunction, event: bytes) -> tuple[bytes, bool]:
    """What a function says to an event, and whether that is an error."""
    try:
        return await function.invoke(event).read(), False
    except FunctionFailedError as error:
        return error.payload, True


def refusal(status: HTTPStatus, error_type: str) -> tuple[HTTPStatus, list[tuple[str, str]], bytes]:
    """An error of Lambda itself."""
    return status, [("x-amzn-ErrorType", error_type)], b'{"Message":"%s"}' % error_type.encode()
