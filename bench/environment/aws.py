"""AWS on this machine: moto behind TLS, on connections that are kept, as those of AWS are.

moto's own server closes the connection after each answer; a handshake per call would then weigh
more than what is measured.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    from bench.environment.certificate import Certificate

MOST_BODY_BYTES = 1 << 30
KEEP_SECONDS = 75.0


@contextmanager
def moto(certified: Certificate) -> Iterator[str]:
    """Run moto for a block, and yield its URL."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    runner = web.AppRunner(_application(), access_log=None, keepalive_timeout=KEEP_SECONDS)
    try:
        port = asyncio.run_coroutine_threadsafe(_listen(runner, certified), loop).result()
        yield f"https://127.0.0.1:{port}"
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _listen(runner: web.AppRunner, certified: Certificate) -> int:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certified.chain, certified.key)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context, shutdown_timeout=1).start()
    port: int = runner.addresses[0][1]
    return port


def _application() -> web.Application:
    from moto.moto_server.werkzeug_app import (  # noqa: PLC0415 - takes more than a second
        DomainDispatcherApplication,
        create_backend_app,
    )
    from werkzeug.test import EnvironBuilder, run_wsgi_app  # noqa: PLC0415 - comes with it

    services: Any = DomainDispatcherApplication(create_backend_app)

    async def answer(request: web.Request) -> web.Response:
        builder = EnvironBuilder(
            path=request.raw_path,
            base_url=f"{request.scheme}://{request.host}",
            method=request.method,
            headers=_without("transfer-encoding", request.headers.items()),  # it is read whole
            data=await request.read(),
        )
        body, status, headers = await asyncio.to_thread(
            run_wsgi_app, services, builder.get_environ(), buffered=True
        )
        kept = _without("connection", headers)
        return web.Response(status=int(status.split()[0]), headers=kept, body=b"".join(body))

    application = web.Application(client_max_size=MOST_BODY_BYTES)
    application.router.add_route("*", "/{path:.*}", answer)
    return application


def _without(name: str, headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [header for header in headers if header[0].lower() != name]
