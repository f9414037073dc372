"""Lambda's Invoke and GetFunctionConfiguration for running stacks, in front of moto."""

import asyncio
import json
import re
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from local.lambda_runtime.environments import LambdaFunction
from local.lambda_runtime.invocation import PAYLOAD_LIMIT_BYTES, FunctionFailedError

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]

FUNCTION_PATH = re.compile(
    r"/2015-03-31/functions/(?:arn:aws:lambda:[^:/]*:\d*:function:)?(?P<name>[^:/]+)"
    r"(?::[^/]*)?/(?P<what>invocations|configuration)"
)
FAILED = [("X-Amz-Function-Error", "Unhandled")]


class LambdaApi:
    """WSGI middleware that serves registered functions."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._functions: dict[str, tuple[LambdaFunction, asyncio.AbstractEventLoop]] = {}
        self._asynchronous: set[asyncio.Future[None]] = set()

    def serve(self, function: LambdaFunction) -> None:
        """Register a function of the running event loop."""
        self._functions[function_name(function)] = (function, asyncio.get_running_loop())

    def forget(self, function: LambdaFunction) -> None:
        """Unregister a function."""
        self._functions.pop(function_name(function), None)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer a request."""
        asked = FUNCTION_PATH.fullmatch(environ["PATH_INFO"])
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
            return error_response(HTTPStatus.NOT_FOUND, "ResourceNotFoundException")
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
            return error_response(HTTPStatus.NOT_FOUND, "ResourceNotFoundException")
        if len(event) > PAYLOAD_LIMIT_BYTES:
            return error_response(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "RequestTooLargeException")
        function, loop = self._functions[name]
        if kind == "Event":
            loop.call_soon_threadsafe(self._begin, function, event)
            return HTTPStatus.ACCEPTED, [], b""
        payload, failed = asyncio.run_coroutine_threadsafe(
            invoke_and_read(function, event), loop
        ).result()
        return HTTPStatus.OK, FAILED if failed else [], payload

    def _begin(self, function: LambdaFunction, event: bytes) -> None:
        drained = asyncio.ensure_future(function.invoke(event).drain())
        self._asynchronous.add(drained)
        drained.add_done_callback(self._asynchronous.discard)


def function_name(function: LambdaFunction) -> str:
    """Return a function's name: the last part of its ARN."""
    return function.spec.arn.rpartition(":")[2]


async def invoke_and_read(function: LambdaFunction, event: bytes) -> tuple[bytes, bool]:
    """Invoke a function; return its payload and whether it is an error."""
    try:
        return await function.invoke(event).read(), False
    except FunctionFailedError as error:
        return error.payload, True


def error_response(
    status: HTTPStatus, error_type: str
) -> tuple[HTTPStatus, list[tuple[str, str]], bytes]:
    """Return an error of the Lambda API."""
    return status, [("x-amzn-ErrorType", error_type)], b'{"Message":"%s"}' % error_type.encode()
