"""Servers that the tests of the local stack talk to."""

import asyncio
import threading
from collections.abc import Iterator

import pytest
import requests

from local.provider_simulator.server import Provider
from tests.local.provider_simulator.provider_caller import ProviderCaller


@pytest.fixture(scope="session")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop that runs in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture
def provider(loop: asyncio.AbstractEventLoop) -> Iterator[ProviderCaller]:
    """A fresh provider simulator, and the means to call it."""
    server = Provider()
    url = asyncio.run_coroutine_threadsafe(server.start(), loop).result()
    with requests.Session() as session:
        yield ProviderCaller(server, url, session)
    asyncio.run_coroutine_threadsafe(server.stop(), loop).result()
