"""Serve the provider simulator over HTTP."""

import asyncio
import socket
import struct
from contextlib import suppress
from dataclasses import asdict

from aiohttp import web

from local.provider_simulator import faults
from local.provider_simulator.call_handler import CallHandler
from local.provider_simulator.switches import Switches, pace
from local.provider_simulator.wire import ProviderError, Reply, parse_request

DEFAULT_KEY = "ak_local_simulator_0000000000000000"
MAX_BODY_BYTES = 32 * 1024 * 1024
SHUTDOWN_SECONDS = 0.1


class Provider(CallHandler):
    """An OpenAI-compatible provider with deterministic answers; it prints nothing."""

    def __init__(
        self, key: str = DEFAULT_KEY, rate_limit: int = 0, tokens_per_second: float = 0
    ) -> None:
        super().__init__(key=key, rate_limit=rate_limit, defaults=pace(tokens_per_second))
        self._runner: web.AppRunner | None = None

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Listen (port 0: a free one) and return the base URL, which ends in /v1."""
        self._runner = web.AppRunner(
            self._application(),
            access_log=None,
            handler_cancellation=True,
            shutdown_timeout=SHUTDOWN_SECONDS,
        )
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError:
            await self.stop()
            raise
        return f"http://{host}:{self._runner.addresses[0][1]}/v1"

    async def stop(self) -> None:
        """Stop listening and close all connections."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def _application(self) -> web.Application:
        application = web.Application(client_max_size=MAX_BODY_BYTES)
        application.router.add_get("/_simulator/calls", self._list_calls)
        application.router.add_delete("/_simulator/calls", self._clear_calls)
        application.router.add_put("/_simulator/key", self._rotate_key)
        application.router.add_route("*", "/{path:.*}", self._handle)
        return application

    async def _list_calls(self, _request: web.Request) -> web.Response:
        calls = [asdict(call) for call in self.calls]
        return web.json_response({"calls": calls, "count": len(calls)})

    async def _clear_calls(self, _request: web.Request) -> web.Response:
        self.clear()
        return web.json_response({"calls": [], "count": 0})

    async def _rotate_key(self, request: web.Request) -> web.Response:
        try:
            self.key = str((await request.json())["key"])
        except (ValueError, LookupError, TypeError):
            error = ProviderError(400, 'Send {"key":"..."}.', param="key")
            return web.json_response(error.body(), status=error.status)
        return web.json_response({"rotated": True})

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        try:
            raw = await request.read()
        except web.HTTPRequestEntityTooLarge:
            return await _send(request, ProviderError(413).reply("openai"), Switches())
        incoming = parse_request(request.method, request.path, request.headers, raw)
        reply, switches = self.reply(incoming)
        return await _send(request, reply, switches)


async def _send(request: web.Request, reply: Reply, switches: Switches) -> web.StreamResponse:
    response = web.StreamResponse(status=reply.status, headers=reply.headers)
    response.headers["Content-Type"] = reply.content_type
    response.content_length = reply.length
    await asyncio.sleep(switches.seconds("latency"))
    # A caller that disconnects is expected and needs no traceback.
    with suppress(ConnectionError):
        if switches["fault"] in faults.NO_ANSWER:
            _disconnect(request, resets=switches["fault"] == "reset")
        else:
            await _write(request, response, reply)
    return response


async def _write(request: web.Request, response: web.StreamResponse, reply: Reply) -> None:
    await response.prepare(request)
    for step in reply.steps:
        await asyncio.sleep(step.wait_seconds)
        if step.disconnects:
            _disconnect(request, resets=True)
            return
        await response.write(step.data)
    await response.write_eof()


def _disconnect(request: web.Request, *, resets: bool) -> None:
    transport = request.transport
    if transport is None:
        return
    if not resets:
        transport.close()
        return
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
