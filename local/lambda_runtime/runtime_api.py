"""The Lambda Runtime API (2018-06-01) for one execution environment."""

import asyncio
import base64
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

import h11  # not aiohttp, which drops HTTP trailers, where broken streams report their error

from local.lambda_runtime.invocation import (
    PAYLOAD_LIMIT_BYTES,
    Answer,
    FunctionFailedError,
    Invocation,
)

RUNTIME = "/2018-06-01/runtime"
RESULT = re.compile(RUNTIME + r"/invocation/(?P<id>[^/]+)/(?P<what>response|error)")
CREDENTIALS = "/2021-04-23/credentials"  # of functions that start from a snapshot
ERROR_TYPE = b"lambda-runtime-function-error-type"
ERROR_BODY = b"lambda-runtime-function-error-body"
HEAD_LIMIT_BYTES = 2 * 1024 * 1024  # a reported error carries its traceback in a header
TOO_LARGE = FunctionFailedError(
    "Function.ResponseSizeTooLarge",
    f"Response payload size exceeded maximum allowed payload size ({PAYLOAD_LIMIT_BYTES} bytes).",
)

Reply = tuple[HTTPStatus, bytes, Mapping[str, str]]


class ProcessConnection:
    """A connection from the function's process."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_LIMIT_BYTES)

    async def event(self) -> object:
        """Return the next h11 event."""
        while (event := self._http.next_event()) is h11.NEED_DATA:
            if self._http.they_are_waiting_for_100_continue:
                await self._send(h11.InformationalResponse(status_code=100, headers=[]))
            self._http.receive_data(await self._reader.read(65536))
        return event

    async def body(self) -> bytes | None:
        """Return the request's body; None if it exceeds Lambda's limit."""
        parts, size = [], 0
        while isinstance(event := await self.event(), h11.Data):
            size += len(event.data)
            if size <= PAYLOAD_LIMIT_BYTES:
                parts.append(bytes(event.data))
        return b"".join(parts) if size <= PAYLOAD_LIMIT_BYTES else None

    async def answer(self, status: HTTPStatus, body: bytes, headers: Mapping[str, str]) -> None:
        """Answer the request."""
        fields = {"Content-Length": str(len(body)), **headers}
        await self._send(h11.Response(status_code=status, headers=list(fields.items())))
        await self._send(h11.Data(data=body))
        await self._send(h11.EndOfMessage())

    def again(self) -> bool:
        """Prepare for another request; False if the connection cannot be reused."""
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
            return True
        return False

    async def _send(self, event: h11.Event) -> None:
        if data := self._http.send(event):
            self._writer.write(data)
            await self._writer.drain()


class RuntimeApi:
    """Serves the Runtime API to one process on a loopback port."""

    def __init__(self, arn: str, take: Callable[[], Awaitable[Invocation]]) -> None:
        self._arn, self._take = arn, take
        self._connections: set[asyncio.Task[None]] = set()
        self.current: Invocation | None = None
        self.init_error: FunctionFailedError | None = None

    async def start(self) -> str:
        """Start listening; return host:port."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()
        return f"{host}:{port}"

    async def stop(self) -> None:
        """Close all connections."""
        self._server.close()
        connections = list(self._connections)
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.ensure_future(self._converse(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(h11.ProtocolError, ConnectionError):
                await self._serve(ProcessConnection(reader, writer))
        finally:
            writer.close()

    async def _serve(self, peer: ProcessConnection) -> None:
        while isinstance(request := await peer.event(), h11.Request):
            target = request.target.decode()
            result, invocation = RESULT.fullmatch(target), self.current
            if result and invocation and result["id"] == invocation.id:
                reply = await self._result(peer, request, result["what"], invocation)
            else:
                reply = await self._reply(target, await peer.body())
            await peer.answer(*reply)
            if not peer.again():
                return

    async def _reply(self, target: str, body: bytes | None) -> Reply:
        match target.removeprefix(RUNTIME):
            case "/invocation/next":
                return await self._next()
            case "/init/error" | "/restore/error":
                self.init_error = reported_error(body)
                return HTTPStatus.ACCEPTED, b"", {}
            case "/restore/next":
                return HTTPStatus.OK, b"", {}  # immediately: processes cannot be cloned
            case _ if target == CREDENTIALS:
                return HTTPStatus.OK, json.dumps(credentials()).encode(), {}
        return HTTPStatus.NOT_FOUND, b"", {}

    async def _next(self) -> Reply:
        self.current = invocation = await self._take()
        trace = f"1-{invocation.id[:8]}-{invocation.id[-12:]}{'0' * 12}"
        headers = {
            "Content-Type": "application/json",
            "Lambda-Runtime-Aws-Request-Id": invocation.id,
            "Lambda-Runtime-Deadline-Ms": str(int(invocation.deadline_seconds * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": self._arn,
            "Lambda-Runtime-Trace-Id": f"Root={trace};Sampled=0",
        }
        return HTTPStatus.OK, invocation.event, headers

    async def _result(
        self, peer: ProcessConnection, request: h11.Request, what: str, invocation: Invocation
    ) -> Reply:
        headers = dict(request.headers)
        content_type = headers.get(b"content-type", b"application/json").decode()
        streaming = headers.get(b"lambda-runtime-function-response-mode") == b"streaming"
        status = HTTPStatus.ACCEPTED
        if what == "error":
            invocation.finish(reported_error(await peer.body()))
        elif streaming:
            invocation.begin(Answer(streaming=True, content_type=content_type))
            invocation.finish(await self._stream(peer, invocation))
        elif (body := await peer.body()) is None:
            status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            invocation.finish(TOO_LARGE)
        else:
            invocation.begin(Answer(streaming=False, content_type=content_type))
            await invocation.feed(body)
            invocation.finish()
        self.current = None
        return status, b"", {}

    async def _stream(
        self, peer: ProcessConnection, invocation: Invocation
    ) -> FunctionFailedError | None:
        try:
            while isinstance(event := await peer.event(), h11.Data):
                await invocation.feed(bytes(event.data))
        except (h11.RemoteProtocolError, ConnectionError):
            return FunctionFailedError("Runtime.TruncatedResponse", "The response ended early.")
        return trailing_error(dict(event.headers) if isinstance(event, h11.EndOfMessage) else {})


def credentials() -> dict[str, str]:
    """Return placeholder credentials of a function."""
    ends = datetime.now(tz=UTC) + timedelta(hours=6)
    return {
        "AccessKeyId": "local",
        "SecretAccessKey": "local",
        "Token": "local",
        "Expiration": ends.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def reported_error(body: bytes | None) -> FunctionFailedError:
    """Parse the error that a runtime reports in a request's body."""
    try:
        error = json.loads(body or b"")
        return FunctionFailedError(str(error["errorType"]), str(error["errorMessage"]), body)
    except (ValueError, KeyError, TypeError):
        return FunctionFailedError("Runtime.Unknown", "The function failed without saying why.")


def trailing_error(trailers: dict[bytes, bytes]) -> FunctionFailedError | None:
    """Parse the error that a runtime reports after a stream, if any."""
    if ERROR_TYPE not in trailers:
        return None
    kind = trailers[ERROR_TYPE].decode()
    body = base64.b64decode(trailers.get(ERROR_BODY, b""))
    return FunctionFailedError(kind, body.decode(errors="replace"), body)
