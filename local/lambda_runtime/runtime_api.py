"""The Lambda Runtime API (2018-06-01) that one execution environment talks to."""

import asyncio
import base64
import json
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

import h11  # and not aiohttp: a broken stream tells why in HTTP trailers, which aiohttp drops

from local.lambda_runtime.invocation import (
    PAYLOAD_LIMIT_BYTES,
    Answer,
    FunctionFailedError,
    Invocation,
)

ROUTE = re.compile(
    r"/2018-06-01/runtime/(?:(?P<next>invocation/next)|(?P<init>(?:init|restore)/error)"
    r"|(?P<restore>restore/next)"
    r"|invocation/(?P<id>[^/]+)/(?P<what>response|error))"
)
CREDENTIALS = "/2021-04-23/credentials"  # of functions that start from a snapshot
ERROR_TYPE = b"lambda-runtime-function-error-type"
ERROR_BODY = b"lambda-runtime-function-error-body"
HEAD_LIMIT_BYTES = 2 * 1024 * 1024  # a reported error carries its traceback in a header
TOO_LARGE = FunctionFailedError(
    "Function.ResponseSizeTooLarge",
    f"Response payload size exceeded maximum allowed payload size ({PAYLOAD_LIMIT_BYTES} bytes).",
)


class Peer:
    """A connection of the function's process."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_LIMIT_BYTES)

    async def event(self) -> object:
        """The next thing the process said, as h11 has it."""
        while (event := self._http.next_event()) is h11.NEED_DATA:
            if self._http.they_are_waiting_for_100_continue:
                await self._send(h11.InformationalResponse(status_code=100, headers=[]))
            self._http.receive_data(await self._reader.read(65536))
        return event

    async def body(self, limit_bytes: int) -> bytes | None:
        """The request's whole body, None if it is over the limit."""
        parts, size = [], 0
        while isinstance(event := await self.event(), h11.Data):
            size += len(event.data)
            if size <= limit_bytes:
                parts.append(bytes(event.data))
        return b"".join(parts) if size <= limit_bytes else None

    async def answer(
        self, status: HTTPStatus, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> None:
        """Answers the request."""
        fields = {"Content-Length": str(len(body)), **(headers or {})}
        await self._send(h11.Response(status_code=status, headers=list(fields.items())))
        await self._send(h11.Data(data=body))
        await self._send(h11.EndOfMessage())

    def again(self) -> bool:
        """Gets ready for another request; False if the connection is done for."""
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
            return True
        return False

    async def _send(self, event: h11.Event) -> None:
        if data := self._http.send(event):
            self._writer.write(data)
            await self._writer.drain()


class RuntimeApi:
    """Hands events to one process and takes its answers, on a loopback port of its own."""

    def __init__(self, arn: str, take: Callable[[], Awaitable[Invocation]]) -> None:
        self._arn, self._take = arn, take
        self._connections: set[asyncio.Task[None]] = set()
        self.current: Invocation | None = None
        self.init_error: FunctionFailedError | None = None

    async def start(self) -> str:
        """Listens; returns host:port."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()
        return f"{host}:{port}"

    async def stop(self) -> None:
        """Hangs up on the process."""
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
                await self._serve(Peer(reader, writer))
        finally:
            writer.close()

    async def _serve(self, peer: Peer) -> None:
        while isinstance(request := await peer.event(), h11.Request):
            route = ROUTE.fullmatch(request.target.decode())
            if route and route["next"]:
                await peer.body(0)
                await self._next(peer)
            elif route and route["init"]:
                self.init_error = reported(await peer.body(PAYLOAD_LIMIT_BYTES))
                await peer.answer(HTTPStatus.ACCEPTED)
            elif route and route["restore"]:  # at once: a copy of a process is hard to make
                await peer.body(0)
                await peer.answer(HTTPStatus.OK)
            elif request.target == CREDENTIALS.encode():
                await peer.body(0)
                await peer.answer(HTTPStatus.OK, json.dumps(credentials()).encode())
            elif route and self.current and route["id"] == self.current.id:
                await self._result(peer, request, route["what"], self.current)
            else:
                await peer.body(0)
                await peer.answer(HTTPStatus.NOT_FOUND)
            if not peer.again():
                return

    async def _next(self, peer: Peer) -> None:
        self.current = invocation = await self._take()
        headers = {
            "Content-Type": "application/json",
            "Lambda-Runtime-Aws-Request-Id": invocation.id,
            "Lambda-Runtime-Deadline-Ms": str(int(invocation.deadline_seconds * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": self._arn,
            "Lambda-Runtime-Trace-Id": f"Root=1-{invocation.id[:8]}-{invocation.id[-12:]}{'0' * 12}"
            ";Sampled=0",
        }
        await peer.answer(HTTPStatus.OK, invocation.event, headers)

    async def _result(
        self, peer: Peer, request: h11.Request, what: str, invocation: Invocation
    ) -> None:
        headers = dict(request.headers)
        content_type = headers.get(b"content-type", b"application/json").decode()
        streaming = headers.get(b"lambda-runtime-function-response-mode") == b"streaming"
        status = HTTPStatus.ACCEPTED
        if what == "error":
            invocation.finish(reported(await peer.body(PAYLOAD_LIMIT_BYTES)))
        elif streaming:
            invocation.begin(Answer(streaming=True, content_type=content_type))
            invocation.finish(await self._stream(peer, invocation))
        elif (body := await peer.body(PAYLOAD_LIMIT_BYTES)) is None:
            status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            invocation.finish(TOO_LARGE)
        else:
            invocation.begin(Answer(streaming=False, content_type=content_type))
            await invocation.feed(body)
            invocation.finish()
        self.current = None
        await peer.answer(status)

    async def _stream(self, peer: Peer, invocation: Invocation) -> FunctionFailedError | None:
        try:
            while isinstance(event := await peer.event(), h11.Data):
                await invocation.feed(bytes(event.data))
        except (h11.RemoteProtocolError, ConnectionError):
            return FunctionFailedError("Runtime.TruncatedResponse", "The response broke off.")
        return trailing_error(dict(event.headers) if isinstance(event, h11.EndOfMessage) else {})


def credentials() -> dict[str, str]:
    """What stands for a function's own credentials, as its endpoint has them."""
    ends = datetime.now(tz=UTC) + timedelta(hours=6)
    return {
        "AccessKeyId": "local",
        "SecretAccessKey": "local",
        "Token": "local",
        "Expiration": ends.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def reported(body: bytes | None) -> FunctionFailedError:
    """The error that a runtime reports in a request's body."""
    try:
        error = json.loads(body or b"")
        return FunctionFailedError(str(error["errorType"]), str(error["errorMessage"]), body)
    except (ValueError, KeyError, TypeError):
        return FunctionFailedError("Runtime.Unknown", "The function failed without saying why.")


def trailing_error(trailers: dict[bytes, bytes]) -> FunctionFailedError | None:
    """The error that a runtime reports after a stream, if it does."""
    if ERROR_TYPE not in trailers:
        return None
    kind = trailers[ERROR_TYPE].decode()
    body = base64.b64decode(trailers.get(ERROR_BODY, b""))
    return FunctionFailedError(kind, body.decode(errors="replace"), body)
