"""Streams an answer out of a Python Lambda function.

The runtime cannot stream by itself, so this teaches its Runtime API client to post a
StreamResponse in pieces. Only this module knows the Runtime API.
https://docs.aws.amazon.com/lambda/latest/dg/runtimes-custom.html#runtimes-custom-response-streaming
"""

from __future__ import annotations

import base64
import http.client
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llm_relay.api.api_gateway import proxy_result

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from llm_relay.core.answer import HttpAnswer

_CONTENT_TYPE = "application/vnd.awslambda.http-integration-response"
_PRELUDE_END = bytes(8)
_ERROR_TYPE = "Lambda-Runtime-Function-Error-Type"
_ERROR_BODY = "Lambda-Runtime-Function-Error-Body"

_attached = False


@dataclass(frozen=True, slots=True)
class StreamResponse:
    """What a handler returns to stream; its body is taken after the handler returned."""

    status: int
    headers: Mapping[str, str]
    body: Iterable[bytes]

    def prelude(self) -> bytes:
        """Return the head in the form API Gateway's streaming integration takes."""
        head = {"statusCode": int(self.status), "headers": dict(self.headers)}
        return json.dumps(head).encode() + _PRELUDE_END

    def buffered(self) -> bytes:
        """Return the whole answer in the same form, for an ordinary post."""
        try:
            return self.prelude() + b"".join(self.body)
        finally:
            self.close()

    def close(self) -> None:
        """Let go of what the body holds, however far it was read."""
        if close := getattr(self.body, "close", None):
            close()


def deliver(answer: HttpAnswer, environ: Mapping[str, str] = os.environ) -> Any:
    """Return what a handler behind a streaming route has to return where it runs now."""
    if environ.get("AWS_SAM_LOCAL"):  # `sam local` knows the ordinary proxy result alone
        return proxy_result(answer)
    response = StreamResponse(answer.status, answer.headers, answer.body)
    if _attached and environ.get("RELAY_STREAMING", "shim") == "shim":
        return response
    return response.buffered()


def attach(client_class: Any) -> bool:
    """Let a Runtime API client class post a StreamResponse; False if it lacks the names for it."""
    global _attached  # noqa: PLW0603 - one process runs one runtime
    marshaller = getattr(client_class, "marshaller", None)
    post = getattr(client_class, "post_invocation_result", None)
    if not (hasattr(marshaller, "marshal_response") and callable(post)):
        return False

    def post_invocation_result(self: Any, invoke_id: str, result: Any, *more: Any) -> None:
        if isinstance(result, StreamResponse):
            invocation_id = more[1] if len(more) > 1 else None
            post_stream(self.lambda_runtime_address, invoke_id, result, invocation_id)
        else:
            post(self, invoke_id, result, *more)

    client_class.marshaller = _StreamMarshaller(marshaller)
    client_class.post_invocation_result = post_invocation_result
    _attached = True
    return True


class _StreamMarshaller:
    """The runtime's marshaller, which leaves a StreamResponse as it is."""

    def __init__(self, marshaller: Any) -> None:
        self._marshaller = marshaller

    def __getattr__(self, name: str) -> Any:
        return getattr(self._marshaller, name)

    def marshal_response(self, response: Any) -> tuple[Any, str]:
        if isinstance(response, StreamResponse):
            return response, _CONTENT_TYPE
        result: tuple[Any, str] = self._marshaller.marshal_response(response)
        return result


def post_stream(
    address: str, invoke_id: str, response: StreamResponse, invocation_id: str | None = None
) -> None:
    """Post an answer to the Runtime API at host:port, each piece as it comes."""
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
        connection.close()  # the protocol wants a connection of its own for each stream


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
    """Yield what to send: all up to the first piece at once, as each send wakes the other end."""
    unsent, trailers = head + _chunk(response.prelude()), b""
    try:
        for piece in filter(None, response.body):  # an empty chunk would end the body
            yield unsent + _chunk(piece)
            unsent = b""
    except Exception as error:  # noqa: BLE001 - told to Lambda, which must hear of it
        trailers = _error_trailers(error)
    yield unsent + b"0\r\n" + trailers + b"\r\n"


def _chunk(piece: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(piece), piece)


def _error_trailers(error: Exception) -> bytes:
    # The type alone: a message may quote the prompt.
    kind = f"Function.{type(error).__name__}"
    body = base64.b64encode(json.dumps({"errorType": kind}).encode()).decode()
    return f"{_ERROR_TYPE}: {kind}\r\n{_ERROR_BODY}: {body}\r\n".encode()


def _attach_to_runtime() -> bool:
    try:
        from awslambdaric import lambda_runtime_client as runtime  # noqa: PLC0415
    except ImportError:
        return False
    client_class = getattr(runtime, "BaseLambdaRuntimeClient", None)  # its name since 4.0
    return attach(client_class or getattr(runtime, "LambdaRuntimeClient", None))


_attach_to_runtime()
