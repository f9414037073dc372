"""Lambda and API Gateway for running stacks, in front of moto, which cannot run functions."""

import asyncio
import json
import re
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from local.api_gateway.routes import Api
from local.lambda_runtime.environments import LambdaFunction
from local.lambda_runtime.invocation import PAYLOAD_LIMIT_BYTES

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]
Answer = tuple[HTTPStatus, list[tuple[str, str]], bytes]

RESOURCES = re.compile(r"/restapis/(?P<id>[^/]+)/resources")
FUNCTION = re.compile(
    r"/2015-03-31/functions/(?:arn:aws:lambda:[^:/]*:\d*:function:)?(?P<name>[^:/]+)"
    r"(?::[^/]*)?/(?P<what>invocations|configuration)"
)


class StackServices:
    """WSGI middleware with Invoke, GetFunctionConfiguration and GetResources of running stacks."""

    def __init__(self, application: Application) -> None:
        self.functions: dict[str, LambdaFunction] = {}  # by name
        self.apis: dict[str, Api] = {}  # by id
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer a request."""
        path = environ["PATH_INFO"]
        if asked := FUNCTION.fullmatch(path):
            status, headers, payload = self._function(asked["name"], asked["what"], environ)
        elif (asked := RESOURCES.fullmatch(path)) and asked["id"] in self.apis:
            status, headers, payload = json_answer({"item": resources(self.apis[asked["id"]])})
        else:
            return self._application(environ, start_response)
        start_response(f"{status.value} {status.phrase}", headers)
        return [payload]

    def _function(self, name: str, what: str, environ: dict[str, Any]) -> Answer:
        event = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)) or b"{}"
        if name not in self.functions:
            return error_answer(HTTPStatus.NOT_FOUND, "ResourceNotFoundException")
        if what == "configuration":
            return json_answer(configuration(self.functions[name]))
        if len(event) > PAYLOAD_LIMIT_BYTES:
            return error_answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "RequestTooLargeException")
        kind = environ.get("HTTP_X_AMZ_INVOCATION_TYPE", "RequestResponse")
        return invoke(self.functions[name], event, kind)


def invoke(function: LambdaFunction, event: bytes, kind: str) -> Answer:
    """Invoke a function from another thread than its loop's; wait unless its kind is Event."""
    if kind == "Event":
        function.loop.call_soon_threadsafe(lambda: function.invoke(event).discard())
        return HTTPStatus.ACCEPTED, [], b""
    answer = asyncio.run_coroutine_threadsafe(function.invoke_and_read(event), function.loop)
    payload, failed = answer.result()
    return HTTPStatus.OK, [("X-Amz-Function-Error", "Unhandled")] if failed else [], payload


def configuration(function: LambdaFunction) -> dict[str, Any]:
    """Return a function's configuration."""
    return {
        "FunctionName": function.spec.name,
        "Timeout": int(function.spec.timeout_seconds),
        "MemorySize": function.spec.memory_megabytes,
        "Environment": {"Variables": dict(function.spec.environment)},
    }


def resources(api: Api) -> list[dict[str, Any]]:
    """Return every resource with its methods and integrations."""
    methods: dict[str, dict[str, Any]] = {}
    for route in api.routes:
        methods.setdefault(route.resource, {})[route.method] = {
            "httpMethod": route.method,
            "methodIntegration": {
                "type": "AWS_PROXY",
                "uri": route.uri,
                "timeoutInMillis": round(route.timeout_seconds * 1000),
                "responseTransferMode": "STREAM" if route.streaming else "BUFFERED",
            },
        }
    return [{"id": path, "path": path, "resourceMethods": of} for path, of in methods.items()]


def json_answer(document: Any) -> Answer:
    """Return a successful answer."""
    return HTTPStatus.OK, [("content-type", "application/json")], json.dumps(document).encode()


def error_answer(status: HTTPStatus, error_type: str) -> Answer:
    """Return an error of the Lambda API."""
    return status, [("x-amzn-ErrorType", error_type)], b'{"Message":"%s"}' % error_type.encode()
