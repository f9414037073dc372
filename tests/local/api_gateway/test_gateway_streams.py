"""Streaming routes: bytes pass as they come, and a stream that breaks does not look whole."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.local.small_stack import RUNTIMES, client, in_loop, small_stack

both_runtimes = pytest.mark.parametrize("runtime", RUNTIMES)
HEAD = '{"statusCode": 202, "headers": {"x-a": "b"}}'


async def start(session: aiohttp.ClientSession, **asked: Any) -> aiohttp.ClientResponse:
    return await session.post("/stream", json=asked)


@both_runtimes
@in_loop
async def test_a_chunk_arrives_while_the_function_still_writes(
    tmp_path: Path, runtime: str
) -> None:
    async with (
        small_stack(tmp_path, runtime=runtime) as stack,
        client(stack) as session,
        await start(session) as response,
    ):
        assert response.status == 201
        assert response.headers["Content-Type"] == "text/event-stream"
        assert await response.content.readany() == b"first\n"
        assert not (tmp_path / "finished").exists()
        (tmp_path / "go").touch()
        assert await response.read() == b"last\n"
        assert (tmp_path / "finished").exists()


@both_runtimes
@pytest.mark.parametrize("fault", ["raise", "exit"])
@in_loop
async def test_a_function_that_fails_mid_stream_closes_the_connection(
    tmp_path: Path, runtime: str, fault: str
) -> None:
    async with (
        small_stack(tmp_path, runtime=runtime) as stack,
        client(stack) as session,
        await start(session, **{fault: True}) as response,
    ):
        assert await response.content.readany() == b"first\n"
        (tmp_path / "go").touch()
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()


@both_runtimes
@in_loop
async def test_a_disconnected_caller_does_not_stop_the_function(
    tmp_path: Path, runtime: str
) -> None:
    async with small_stack(tmp_path, runtime=runtime) as stack, client(stack) as session:
        response = await start(session, megabytes=20)
        assert await response.content.readany() == b"first\n"
        response.close()
        (tmp_path / "go").touch()
        while not (tmp_path / "finished").exists():
            await asyncio.sleep(0.02)


@in_loop
async def test_a_slow_caller_applies_backpressure_to_the_function(tmp_path: Path) -> None:
    async with small_stack(tmp_path) as stack, client(stack) as session:
        (tmp_path / "go").touch()
        async with await start(session, megabytes=64) as response:
            await response.content.readany()
            await asyncio.sleep(0.3)
            assert not (tmp_path / "finished").exists()
            assert len(await response.read()) > 63 * 1024 * 1024
        assert (tmp_path / "finished").exists()


@both_runtimes
@in_loop
async def test_a_buffered_answer_of_a_streaming_route_has_the_same_form(
    tmp_path: Path, runtime: str
) -> None:
    async with (
        small_stack(tmp_path, runtime=runtime) as stack,
        client(stack) as session,
        await start(session, payload=HEAD + "\0" * 8 + "whole") as response,
    ):
        assert response.status == 202
        assert response.headers["x-a"] == "b"
        assert await response.read() == b"whole"


@pytest.mark.parametrize(
    "payload",
    ["no delimiter", "not JSON" + "\0" * 8, "{}" + "\0" * 8, " " * 16 * 1024 + HEAD + "\0" * 8],
)
@in_loop
async def test_a_malformed_prelude_is_an_integration_failure(tmp_path: Path, payload: str) -> None:
    async with (
        small_stack(tmp_path) as stack,
        client(stack) as session,
        await start(session, payload=payload) as response,
    ):
        assert response.status == 504


@in_loop
async def test_the_connection_serves_another_request_after_a_stream(tmp_path: Path) -> None:
    (tmp_path / "go").touch()
    made: list[object] = []

    async def count(*event: object) -> None:
        made.append(event)

    trace = aiohttp.TraceConfig()
    trace.on_connection_create_end.append(count)
    async with small_stack(tmp_path) as stack, client(stack, trace=trace) as session:
        for _ in range(2):
            async with await start(session) as response:
                assert await response.read() == b"first\nlast\n"
    assert len(made) == 1
