"""Streams the answer of a Python Lambda function.

The runtime cannot stream, so this makes its Runtime API client post a StreamResponse piecewise.
https://docs.aws.amazon.com/lambda/latest/dg/runtimes-custom.html#runtimes-custom-response-streaming
"""

from __future__ import annotations

import base64
import http.client
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llm_relay.core.answer import HttpAnswer

_CONTENT_TYPE = "application/vnd.awslambda.http-integration-response"
_PRELUDE_END = bytes(8)
_ERROR_TYPE = "Lambda-Runtime-Function-Error-Type"
_ERROR_BODY = "Lambda-Runtime-Function-Error-Body"

_is_patched = False


@dataclass(frozen=True, slots=True)
class StreamResponse:
    """A handler's result to stream; the body is read after the handler has returned."""

    status: int
    headers: Mapping[str, str]
    body: Iterable[bytes]

    def prelude(self) -> bytes:
        """Return the head in the format of API Gateway's streaming integration."""
        head = {"statusCode": int(self.status), "headers": dict(self.headers)}
        return json.dumps(head).encode() + _PRELUDE_END

    def buffered(self) -> bytes:
        """Return the complete answer in the same format, for an ordinary post."""
        try:
            return self.prelude() + b"".join(self.body)
        finally:
            self.close()

    def close(self) -> None:
        """Release the resources of the body, however far it was read."""
        if close := getattr(self.body, "close", None):
            close()


def lambda_result(
    answer: HttpAnswer,
    proxy_result: Callable[[HttpAnswer], Any],
    environ: Mapping[str, str] = os.environ,
) -> Any:
    """Return what a handler of a streaming route returns in this environment.

    `proxy_result` makes an ordinary proxy result, the only format `sam local` supports.
    """
    if environ.get("AWS_SAM_LOCAL"):
        return proxy_result(answer)
    response = StreamResponse(answer.status, answer.headers, answer.body)
    if _is_patched and environ.get("RELAY_STREAMING", "shim") == "shim":
        return response
    return response.buffered()


def patch_runtime_client(client_class: Any) -> bool:
    """Make a Runtime API client class post StreamResponses; False if it lacks the patched names."""
    global _is_patched  # noqa: PLW0603 - one process runs one runtime
    marshaller = getattr(client_class, "marshaller", None)
    marshal = getattr(marshaller, "marshal_response", None)
    post = getattr(client_class, "post_invocation_result", None)
    if not (marshaller and callable(marshal) and callable(post)):
        return False

    def marshal_response(response: Any) -> Any:
        if isinstance(response, StreamResponse):
            return response, _CONTENT_TYPE
        return marshal(response)

    def post_invocation_result(self: Any, invoke_id: str, result: Any, *more: Any) -> None:
        if isinstance(result, StreamResponse):
            invocation_id = more[1] if len(more) > 1 else None
            _post_stream(self.lambda_runtime_address, invoke_id, result, invocation_id)
        else:
            post(self, invoke_id, result, *more)

    marshaller.marshal_response = marshal_response
    client_class.post_invocation_result = post_invocation_result
    _is_patched = True
    return True


def _post_stream(
    address: str, invoke_id: str, response: StreamResponse, invocation_id: str | None
) -> None:
    """Post an answer to the Runtime API at host:port, piece by piece."""
    connection = http.client.HTTPConnection(address)
    try:
        connection.connect()
        for part in _request(_head(address, invoke_id, invocation_id), response):
            connection.send(part)
        answer = http.client.HTTPResponse(connection.sock)
        answer.begin()
        answer.read()
    finally:
        response.close()
        connection.close()  # the protocol requires a new connection for each stream


def _head(address: str, invoke_id: str, invocation_id: str | None) -> bytes:
    lines = [
        f"POST /2018-06-01/runtime/invocation/{invoke_id}/response HTTP/1.1",
        f"Host: {address}",
        "Lambda-Runtime-Function-Response-Mode: streaming",
        f"Content-Type: {_CONTENT_TYPE}",
        "Transfer-Encoding: chunked",
        f"Trailer: {_ERROR_TYPE}, {_ERROR_BODY}",
        *([f"Lambda-Runtime-Invocation-Id: {invocation_id}"] if invocation_id else []),
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def _request(head: bytes, response: StreamResponse) -> Iterator[bytes]:
    """Yield the bytes to send; head and first piece together, as each send wakes the receiver."""
    unsent, trailers = head + _chunk(response.prelude()), b""
    try:
        for piece in filter(None, response.body):  # an empty chunk would end the body
            yield unsent + _chunk(piece)
            unsent = b""
    except Exception as error:  # noqa: BLE001 - reported to Lambda in the trailers
        trailers = _error_trailers(error)
    yield unsent + b"0\r\n" + trailers + b"\r\n"


def _chunk(piece: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(piece), piece)


def _error_trailers(error: Exception) -> bytes:
    # Only the type: a message may quote the prompt.
    error_type = f"Function.{type(error).__name__}"
    body = base64.b64encode(json.dumps({"errorType": error_type}).encode()).decode()
    return f"{_ERROR_TYPE}: {error_type}\r\n{_ERROR_BODY}: {body}\r\n".encode()


with suppress(ImportError):
    from awslambdaric import lambda_runtime_client as _runtime

    # Renamed in 4.0.
    _client_class = getattr(_runtime, "BaseLambdaRuntimeClient", None)
    patch_runtime_client(_client_class or getattr(_runtime, "LambdaRuntimeClient", None))
