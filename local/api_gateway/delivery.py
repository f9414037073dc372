"""Delivers a function's answer to the caller, buffered or streamed."""

import asyncio
import contextlib

from aiohttp import web
from multidict import CIMultiDict

from local.api_gateway.gateway_responses import GatewayError, Reply
from local.api_gateway.integration import Stream, read_reply, read_stream
from local.api_gateway.proxy_event import Call
from local.lambda_runtime.invocation import FunctionFailedError, Invocation

IDLE_SECONDS = 300.0  # API Gateway cuts a stream that is silent for longer


class Delivery:
    """Delivers answers, and lets functions finish after their callers disconnect."""

    def __init__(self) -> None:
        self._left_behind: set[asyncio.Task[None]] = set()

    async def deliver(self, call: Call, invocation: Invocation) -> web.StreamResponse:
        """Send a function's answer; GatewayError if there is none."""
        deadline = asyncio.get_running_loop().time() + call.route.timeout_seconds
        try:
            async with asyncio.timeout_at(deadline):
                if not call.route.streaming:
                    accepts_binary = call.api.is_binary(call.request.headers.get("Accept"))
                    answer = await invocation.read()
                    return buffered_response(call, read_reply(answer, may_decode=accepts_binary))
                await invocation.answer()
                stream = await read_stream(invocation)
        except TimeoutError as error:
            raise GatewayError("INTEGRATION_TIMEOUT") from error
        except FunctionFailedError as error:
            raise GatewayError("INTEGRATION_FAILURE") from error
        else:
            return await self._pass_on(call, stream, deadline)
        finally:
            self._leave_behind(invocation)

    async def stop(self) -> None:
        """Stop waiting for functions that are still running."""
        tasks = list(self._left_behind)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _pass_on(self, call: Call, stream: Stream, deadline: float) -> web.StreamResponse:
        response = web.StreamResponse(status=stream.head.status, headers=headers(call, stream.head))
        with contextlib.suppress(ConnectionError):  # the caller has disconnected
            await response.prepare(call.request)
            try:
                async with asyncio.timeout_at(deadline):
                    await copy_stream(stream, response)
            except (FunctionFailedError, TimeoutError):
                # Closed without the last chunk, so that no caller takes this for the end.
                if call.request.transport:
                    call.request.transport.close()
        return response

    def _leave_behind(self, invocation: Invocation) -> None:
        if not invocation.consumed:
            task = asyncio.create_task(invocation.drain())
            self._left_behind.add(task)
            task.add_done_callback(self._left_behind.discard)


def headers(call: Call, reply: Reply) -> CIMultiDict[str]:
    """Return an answer's headers, with those that API Gateway adds."""
    return CIMultiDict([*reply.headers, ("x-amzn-RequestId", call.id), ("x-amz-apigw-id", call.id)])


def buffered_response(call: Call, reply: Reply) -> web.Response:
    """Return a buffered answer."""
    return web.Response(status=reply.status, headers=headers(call, reply), body=reply.body)


async def copy_stream(stream: Stream, response: web.StreamResponse) -> None:
    """Forward a stream piece by piece; TimeoutError if it is silent for too long."""
    if stream.head.body:
        await response.write(stream.head.body)
    while True:
        async with asyncio.timeout(IDLE_SECONDS):
            chunk = await anext(stream.rest, None)
        if chunk is None:
            return
        await response.write(chunk)
