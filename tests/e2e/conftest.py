"""The whole local stack in a thread, and official clients that call it."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import openai
import pytest

from local.settings import Settings
from local.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator
    from pathlib import Path

    from local.provider_simulator.server import Provider


class Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(200)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@dataclass(frozen=True)
class Running:
    """A stack that is up."""

    stack: Stack
    log: Path

    @property
    def base_url(self) -> str:
        return f"{self.stack.base_url}/v1"

    @property
    def provider(self) -> Provider:
        assert self.stack.provider is not None
        return self.stack.provider

    def client(self, **changes: Any) -> openai.OpenAI:
        settings: dict[str, Any] = {
            "base_url": self.base_url,
            "api_key": self.stack.client_key,
            "max_retries": 0,
        }
        return openai.OpenAI(**(settings | changes))


@pytest.fixture(scope="session")
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.close()


@pytest.fixture(scope="session")
def running(loop: Loop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The stack in front of the provider simulator."""
    log = tmp_path_factory.mktemp("stack") / "functions.log"
    # A suite of tests asks faster than one client key may.
    parameters = {"ThrottleRequestsPerSecond": 1000, "ThrottleBurst": 1000}
    stack = Stack(Settings(log=log, parameters=parameters))
    loop.run(stack.__aenter__())
    yield Running(stack, log)
    loop.run(stack.__aexit__(None, None, None))


@pytest.fixture
def client(running: Running) -> Iterator[openai.OpenAI]:
    """The official client, which asks once and does not try again."""
    with running.client() as client:
        yield client
