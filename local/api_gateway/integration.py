"""From what a function answers to what its caller gets."""

import base64
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from local.api_gateway.gateway_responses import RefusedError, Reply

DELIMITER = b"\0" * 8
PRELUDE_LIMIT_BYTES = 16 * 1024
# API Gateway writes these itself; the second lot it hands on under another name.
DROPPED = {"connection", "content-length", "keep-alive", "transfer-encoding", "upgrade"}
REMAPPED = {"authorization", "date", "server", "www-authenticate"}


@dataclass(slots=True)
class Stream:
    """An answer that comes by and by: its head, what has come of its body, and the rest."""

    head: Reply
    rest: AsyncIterator[bytes]


async def read_stream(chunks: AsyncIterator[bytes]) -> Stream:
    """A streamed answer, read up to its body; raises RefusedError if it has no valid prelude."""
    received = b""
    async for chunk in chunks:
        received += chunk
        prelude, delimiter, body = received.partition(DELIMITER)
        if len(prelude) + len(DELIMITER) > PRELUDE_LIMIT_BYTES:
            break
        if delimiter:
            head = read_reply(prelude)
            return Stream(Reply(status=head.status, headers=head.headers, body=body), chunks)
    raise RefusedError("INTEGRATION_FAILURE")


def read_reply(payload: bytes, *, may_decode: bool = False) -> Reply:
    """A proxy result, or a prelude; raises RefusedError if it is malformed.

    Base64 stays what it is for a caller who does not accept a binary media type first.
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
        raise RefusedError("INTEGRATION_FAILURE") from error


def response_headers(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    """A proxy result's headers as API Gateway sends them on."""
    many = {
        name.lower(): values for name, values in (result.get("multiValueHeaders") or {}).items()
    }
    single = result.get("headers") or {}
    pairs = [(name, [value]) for name, value in single.items() if name.lower() not in many]
    pairs += [*many.items(), ("set-cookie", result.get("cookies") or [])]
    headers = [
        (f"x-amzn-remapped-{name.lower()}" if name.lower() in REMAPPED else name, written(value))
        for name, values in pairs
        for value in values
        if name.lower() not in DROPPED
    ]
    if not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("Content-Type", "application/json"))
    return headers


def written(value: Any) -> str:
    """A header's value, which JSON may hold as a number or a boolean."""
    return value if isinstance(value, str) else json.dumps(value)
