"""A Lambda runtime in plain Python, for platforms without an awslambdaric wheel.

A script: it runs in the function's process and imports nothing from the stack.
"""

import http.client
import importlib
import importlib.util
import json
import os
import sys
import time
import traceback
from collections.abc import Mapping
from contextlib import closing
from email.message import Message
from typing import Any

API = "/2018-06-01/runtime"


class Context:
    """The context object of a handler."""

    identity = client_context = None

    def __init__(self, headers: Message) -> None:
        self.aws_request_id = headers["Lambda-Runtime-Aws-Request-Id"]
        self.invoked_function_arn = headers["Lambda-Runtime-Invoked-Function-Arn"]
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self._deadline_milliseconds = int(headers["Lambda-Runtime-Deadline-Ms"])

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda kills the invocation."""
        return max(0, self._deadline_milliseconds - int(time.time() * 1000))


class Marshaller:
    """Serialization of results."""

    def marshal_response(self, response: Any) -> tuple[Any, str]:
        """Serialize a handler's result as (payload, content type)."""
        if isinstance(response, bytes):
            return response, "application/unknown"
        return json.dumps(response, ensure_ascii=False), "application/json"


class RuntimeClient:
    """Client of the Lambda Runtime API; `marshaller` may be replaced on the class."""

    marshaller = Marshaller()

    def __init__(self, lambda_runtime_address: str) -> None:
        self.lambda_runtime_address = lambda_runtime_address

    def post_invocation_result(
        self, invoke_id: str, result_data: Any, content_type: str, *_more: object
    ) -> None:
        """Post a result."""
        body = result_data if isinstance(result_data, bytes) else result_data.encode()
        path = f"/invocation/{invoke_id}/response"
        self.call("POST", path, body, {"Content-Type": content_type})

    def post_error(self, path: str, error: Mapping[str, object]) -> None:
        """Post an error."""
        headers = {"Lambda-Runtime-Function-Error-Type": str(error["errorType"])}
        self.call("POST", path, json.dumps(error).encode(), headers)

    def call(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] = {}
    ) -> tuple[bytes, Message]:
        """Return an answer's body and headers; OSError when the stack has stopped."""
        with closing(http.client.HTTPConnection(self.lambda_runtime_address)) as connection:
            connection.request(method, API + path, body, dict(headers))
            response = connection.getresponse()
            return response.read(), response.headers


def run(handler_name: str, client: RuntimeClient) -> None:
    """Handle invocations until the stack stops."""
    try:
        module, _, name = handler_name.rpartition(".")
        handler = getattr(importlib.import_module(module.replace("/", ".")), name)
    except Exception as error:  # noqa: BLE001 - any import error is reported
        client.post_error("/init/error", error_report(error))
        raise SystemExit(1) from None
    while True:
        try:
            event, headers = client.call("GET", "/invocation/next")
        except (OSError, http.client.HTTPException):
            return
        answer(handler, client, event, headers)


def answer(handler: Any, client: RuntimeClient, event: bytes, headers: Message) -> None:
    """Handle one invocation."""
    invoke_id = headers["Lambda-Runtime-Aws-Request-Id"]
    try:
        response = handler(json.loads(event), Context(headers))
        payload, content_type = client.marshaller.marshal_response(response)
    except Exception as error:  # noqa: BLE001 - any error of a handler is reported
        client.post_error(f"/invocation/{invoke_id}/error", error_report(error))
    else:
        client.post_invocation_result(invoke_id, payload, content_type)


def error_report(error: Exception) -> dict[str, object]:
    """Log an error and return Lambda's report of it."""
    stack = traceback.format_tb(error.__traceback__)
    print(f"[ERROR] {type(error).__name__}: {error}", *stack, sep="\n", flush=True)
    return {"errorMessage": str(error), "errorType": type(error).__name__, "stackTrace": stack}


def main() -> None:
    """Run the handler named on the command line."""
    if importlib.util.find_spec("llm_relay"):
        streaming = importlib.import_module("llm_relay.aws.lambda_streaming")
        streaming.patch_runtime_client(RuntimeClient)
    run(sys.argv[1], RuntimeClient(os.environ["AWS_LAMBDA_RUNTIME_API"]))


if __name__ == "__main__":
    main()
