"""Delivers a function's answer to the caller, buffered or streamed."""

import asyncio
import base64
import contextlib
import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web
from multidict import CIMultiDict

from local.api_gateway.gateway_responses import GatewayError, Reply
from local.api_gateway.proxy_event import Call
from local.lambda_runtime.invocation import FunctionFailedError, Invocation

DELIMITER = b"\0" * 8
PRELUDE_LIMIT_BYTES = 16 * 1024
# API Gateway writes the first set itself, and renames the second.
DROPPED = {"connection", "content-length", "keep-alive", "transfer-encoding", "upgrade"}
REMAPPED = {"authorization", "date", "server", "www-authenticate"}
IDLE_SECONDS = 300.0  # API Gateway cuts a stream that is silent for longer


async def deliver(call: Call, invocation: Invocation) -> web.StreamResponse:
    """Send a function's answer; GatewayError if there is none."""
    deadline = asyncio.get_running_loop().time() + call.route.timeout_seconds
    try:
        async with asyncio.timeout_at(deadline):
            if not call.route.streaming:
                return buffered_response(call, await invocation.read())
            head = await read_head(invocation)
    except TimeoutError as error:
        raise GatewayError("INTEGRATION_TIMEOUT") from error
    except FunctionFailedError as error:
        raise GatewayError("INTEGRATION_FAILURE") from error
    else:
        return await streamed_response(call, head, invocation, deadline)
    finally:
        invocation.discard()  # the function finishes, even if its caller has disconnected


def buffered_response(call: Call, payload: bytes) -> web.Response:
    """Return a buffered answer."""
    accepts_binary = call.api.is_binary(call.request.headers.get("Accept"))
    reply = read_reply(payload, may_decode=accepts_binary)
    return web.Response(status=reply.status, headers=headers(call, reply), body=reply.body)


async def streamed_response(
    call: Call, head: Reply, rest: Invocation, deadline: float
) -> web.StreamResponse:
    """Forward a streamed answer until its end or the deadline."""
    response = web.StreamResponse(status=head.status, headers=headers(call, head))
    with contextlib.suppress(ConnectionError):  # the caller has disconnected
        await response.prepare(call.request)
        try:
            async with asyncio.timeout_at(deadline):
                if head.body:
                    await response.write(head.body)
                await copy_chunks(rest, response)
        except (FunctionFailedError, TimeoutError):
            # Closed without the last chunk, so that no caller takes this for the end.
            if call.request.transport:
                call.request.transport.close()
    return response


def headers(call: Call, reply: Reply) -> CIMultiDict[str]:
    """Return an answer's headers, with those that API Gateway adds."""
    return CIMultiDict([*reply.headers, ("x-amzn-RequestId", call.id), ("x-amz-apigw-id", call.id)])


async def copy_chunks(chunks: Invocation, response: web.StreamResponse) -> None:
    """Forward chunk by chunk; TimeoutError if the function is silent for too long."""
    while True:
        async with asyncio.timeout(IDLE_SECONDS):
            chunk = await anext(chunks, None)
        if chunk is None:
            return
        await response.write(chunk)


async def read_head(invocation: Invocation) -> Reply:
    """Read a stream up to its body's first bytes; GatewayError without a valid prelude."""
    await invocation.answer()
    received = b""
    async for chunk in invocation:
        received += chunk
        prelude, delimiter, body = received.partition(DELIMITER)
        if len(prelude) + len(DELIMITER) > PRELUDE_LIMIT_BYTES:
            break
        if delimiter:
            return dataclasses.replace(read_reply(prelude), body=body)
    raise GatewayError("INTEGRATION_FAILURE")


def read_reply(payload: bytes, *, may_decode: bool = False) -> Reply:
    """Parse a proxy result or a prelude; GatewayError if it is malformed.

    Base64 is decoded only for callers that accept a binary media type.
    """
    try:
        result = json.loads(payload)
        body = result.get("body") or ""
        binary = may_decode and result.get("isBase64Encoded")
        decode = base64.b64decode if binary else str.encode
        return Reply(
            status=int(result["statusCode"]), headers=response_headers(result), body=decode(body)
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise GatewayError("INTEGRATION_FAILURE") from error


def response_headers(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return a proxy result's headers as API Gateway returns them."""
    many = {
        name.lower(): values for name, values in (result.get("multiValueHeaders") or {}).items()
    }
    single = result.get("headers") or {}
    pairs = [(name, [value]) for name, value in single.items() if name.lower() not in many]
    pairs += [*many.items(), ("set-cookie", result.get("cookies") or [])]
    headers = [
        (
            f"x-amzn-remapped-{name.lower()}" if name.lower() in REMAPPED else name,
            header_text(value),
        )
        for name, values in pairs
        for value in values
        if name.lower() not in DROPPED
    ]
    if not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("Content-Type", "application/json"))
    return headers


def header_text(value: Any) -> str:
    """Return a header's value as text; JSON may hold a number or boolean."""
    return value if isinstance(value, str) else json.dumps(value)
