"""The official Python client, sync and async, on both endpoints, behind the same calls."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import openai
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Mapping

    from tests.e2e.conftest import Running
    from tests.e2e.openai_python.surfaces import Chat, Responses, Surface


class Caller(Protocol):
    """Calls one endpoint with one kind of client."""

    surface: Surface

    def create(self, **fields: Any) -> Any:
        """Return a whole answer."""

    def events(self, **fields: Any) -> list[Any]:
        """Return the events of a streamed answer."""

    def final(self, **fields: Any) -> Any:
        """Return what the stream helper makes of a streamed answer."""

    def parse(self, **fields: Any) -> Any:
        """Return a whole answer, parsed into the given format."""

    def raw(self, **fields: Any) -> Any:
        """Return a whole answer with its headers."""

    def stream_headers(self, **fields: Any) -> Mapping[str, str]:
        """Return the headers of a streamed answer."""


class SyncCaller:
    """Calls with openai.OpenAI."""

    def __init__(self, client: openai.OpenAI, surface: Surface) -> None:
        self.surface = surface
        self._endpoint = surface.of(client)

    def create(self, **fields: Any) -> Any:
        return self._endpoint.create(**fields)

    def events(self, **fields: Any) -> list[Any]:
        return list(self._endpoint.create(stream=True, **fields))

    def final(self, **fields: Any) -> Any:
        with self._endpoint.stream(**fields) as stream:
            return getattr(stream, self.surface.final)()

    def parse(self, **fields: Any) -> Any:
        return self._endpoint.parse(**fields)

    def raw(self, **fields: Any) -> Any:
        return self._endpoint.with_raw_response.create(**fields)

    def stream_headers(self, **fields: Any) -> Mapping[str, str]:
        with self._endpoint.create(stream=True, **fields) as stream:
            return dict(stream.response.headers)


class AsyncCaller:
    """Calls with openai.AsyncOpenAI."""

    def __init__(
        self,
        client: openai.AsyncOpenAI,
        surface: Surface,
        wait_for: Callable[[Coroutine[Any, Any, Any]], Any],
    ) -> None:
        self.surface = surface
        self._endpoint = surface.of(client)
        self._wait_for = wait_for

    def create(self, **fields: Any) -> Any:
        return self._wait_for(self._endpoint.create(**fields))

    def events(self, **fields: Any) -> list[Any]:
        async def events() -> list[Any]:
            return [event async for event in await self._endpoint.create(stream=True, **fields)]

        return list(self._wait_for(events()))

    def final(self, **fields: Any) -> Any:
        async def final() -> Any:
            async with self._endpoint.stream(**fields) as stream:
                return await getattr(stream, self.surface.final)()

        return self._wait_for(final())

    def parse(self, **fields: Any) -> Any:
        return self._wait_for(self._endpoint.parse(**fields))

    def raw(self, **fields: Any) -> Any:
        return self._wait_for(self._endpoint.with_raw_response.create(**fields))

    def stream_headers(self, **fields: Any) -> Mapping[str, str]:
        async def headers() -> Mapping[str, str]:
            async with await self._endpoint.create(stream=True, **fields) as stream:
                return dict(stream.response.headers)

        return dict(self._wait_for(headers()))


@contextmanager
def sync_caller(running: Running, surface: Surface) -> Iterator[Caller]:
    """Return a sync caller that is open meanwhile."""
    with running.client() as client:
        yield SyncCaller(client, surface)


@contextmanager
def async_caller(running: Running, surface: Surface) -> Iterator[Caller]:
    """Return an async caller that is open meanwhile, with an event loop to itself."""
    with asyncio.Runner() as runner, running.client() as settings:
        client = openai.AsyncOpenAI(
            base_url=settings.base_url, api_key=settings.api_key, max_retries=0
        )
        yield AsyncCaller(client, surface, runner.run)
        runner.run(client.close())


def callers_of(*surfaces: type[Chat] | type[Responses]) -> Any:
    """Return a fixture that is each kind of client on each of those endpoints in turn."""
    params = [
        pytest.param((opened, surface), id=f"{opened.__name__}-{surface.__name__}")
        for opened in (sync_caller, async_caller)
        for surface in surfaces
    ]

    @pytest.fixture(scope="module", params=params)
    def caller(request: pytest.FixtureRequest, running: Running) -> Iterator[Caller]:
        opened, surface = request.param
        with opened(running, surface()) as caller:
            yield caller

    return caller
