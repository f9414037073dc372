"""Brings a function's answer to the caller, whole or as it comes."""

import asyncio
import contextlib

from aiohttp import web
from multidict import CIMultiDict

from local.api_gateway.gateway_responses import RefusedError, Reply
from local.api_gateway.integration import Stream, read_reply, read_stream
from local.api_gateway.proxy_event import Call
from local.lambda_runtime.invocation import FunctionFailedError, Invocation

IDLE_SECONDS = 300.0  # API Gateway cuts a stream that is silent for longer


class Delivery:
    """Delivers answers, and lets functions finish whose callers have gone."""

    def __init__(self) -> None:
        self._left_behind: set[asyncio.Task[None]] = set()

    async def deliver(self, call: Call, invocation: Invocation) -> web.StreamResponse:
        """Sends a function's answer; raises RefusedError if there is none to send."""
        deadline = asyncio.get_running_loop().time() + call.route.timeout_seconds
        try:
            async with asyncio.timeout_at(deadline):
                if not call.route.streaming:
                    accepts_binary = call.api.is_binary(call.request.headers.get("Accept"))
                    answer = await invocation.read()
                    return whole(call, read_reply(answer, may_decode=accepts_binary))
                await invocation.answer()
                stream = await read_stream(invocation)
        except TimeoutError as error:
            raise RefusedError("INTEGRATION_TIMEOUT") from error
        except FunctionFailedError as error:
            raise RefusedError("INTEGRATION_FAILURE") from error
        else:
            return await self._pass_on(call, stream, deadline)
        finally:
            self._leave_behind(invocation)

    async def stop(self) -> None:
        """Forgets the functions that are still at it."""
        tasks = list(self._left_behind)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _pass_on(self, call: Call, stream: Stream, deadline: float) -> web.StreamResponse:
        response = web.StreamResponse(status=stream.head.status, headers=headers(call, stream.head))
        with contextlib.suppress(ConnectionError):  # the caller has gone
            await response.prepare(call.request)
            try:
                async with asyncio.timeout_at(deadline):
                    await copy(stream, response)
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
    """An answer's headers, with those that API Gateway adds."""
    return CIMultiDict([*reply.headers, ("x-amzn-RequestId", call.id), ("x-amz-apigw-id", call.id)])


def whole(call: Call, reply: Reply) -> web.Response:
    """An answer that is there as a whole."""
    return web.Response(status=reply.status, headers=headers(call, reply), body=reply.body)


async def copy(stream: Stream, response: web.StreamResponse) -> None:
    """Passes a stream on piece by piece; raises TimeoutError when it is silent for too long."""
    if stream.head.body:
        await response.write(stream.head.body)
    while True:
        async with asyncio.timeout(IDLE_SECONDS):
            chunk = await anext(stream.rest, None)
        if chunk is None:
            return
        await response.write(chunk)
