"""Converts a function's answer to an HTTP answer."""

import base64
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from local.api_gateway.gateway_responses import GatewayError, Reply

DELIMITER = b"\0" * 8
PRELUDE_LIMIT_BYTES = 16 * 1024
# API Gateway writes the first set itself, and renames the second.
DROPPED = {"connection", "content-length", "keep-alive", "transfer-encoding", "upgrade"}
REMAPPED = {"authorization", "date", "server", "www-authenticate"}


@dataclass(slots=True)
class Stream:
    """A streamed answer: its head with the first bytes of the body, and the rest."""

    head: Reply
    rest: AsyncIterator[bytes]


async def read_stream(chunks: AsyncIterator[bytes]) -> Stream:
    """Read a streamed answer up to its body; GatewayError without a valid prelude."""
    received = b""
    async for chunk in chunks:
        received += chunk
        prelude, delimiter, body = received.partition(DELIMITER)
        if len(prelude) + len(DELIMITER) > PRELUDE_LIMIT_BYTES:
            break
        if delimiter:
            head = read_reply(prelude)
            return Stream(Reply(status=head.status, headers=head.headers, body=body), chunks)
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
            status=int(result["statusCode"]),
            headers=list(response_headers(result)),
            body=decode(body),
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
