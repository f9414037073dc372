"""The provider of the bench: answers at once, each event of a stream in its own chunk.

    python -m bench.environment.provider CHAIN KEY [SECONDS]

Prints its port. With SECONDS, whole answers to a POST take that long.
"""

# ruff: noqa: T201 - a process that tells its port
from __future__ import annotations

import asyncio
import json
import re
import ssl
import sys
from functools import lru_cache
from typing import cast

from bench.environment import answers

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_STREAM = re.compile(rb'"stream": ?true')
_BURST = re.compile(rb"burst (\d+)")
_HEAD = b"HTTP/1.1 200 OK\r\nx-request-id: bench\r\ncontent-type: "
_STREAM_HEAD = _HEAD + b"text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


class Provider(asyncio.Protocol):
    """One connection of a client that waits for an answer before it asks again."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what to write to."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer as soon as a request is whole."""
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not end or len(body) < (int(length[1]) if length else 0):
            return
        self._received = b""
        answer = answer_to(head.split(b" ", 2)[1], body)
        seconds = self._seconds if body and len(answer) == 1 else 0
        if seconds:
            asyncio.get_running_loop().call_later(seconds, self._transport.writelines, answer)
        else:
            # In a burst, what stands in front of a provider fills its TLS records.
            self._transport.write(b"".join(answer))


def answer_to(path: bytes, body: bytes) -> list[bytes]:
    """Return what to send, in the pieces in which a server would send it."""
    if path.endswith(b"/models"):
        return _whole("models")
    if not _STREAM.search(body):
        return _whole("completion")
    burst = _BURST.search(body)
    return _stream(path.endswith(b"/responses"), int(burst[1]) if burst else answers.CHUNKS)


@lru_cache
def _whole(name: str) -> list[bytes]:
    document = answers.MODELS if name == "models" else answers.COMPLETION
    body = json.dumps(document).encode()
    return [_HEAD + b"application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)]


@lru_cache
def _stream(is_responses: bool, count: int) -> list[bytes]:  # noqa: FBT001
    frames = (answers.minimal_responses_frames if is_responses else answers.chat_chunks)(count)
    chunks = [b"%x\r\n%b\r\n" % (len(frame), frame) for frame in frames]
    return [_STREAM_HEAD, *chunks, b"0\r\n\r\n"]


async def serve(chain: str, key: str, seconds: float) -> None:
    """Serve until the process is ended."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Provider(seconds), "127.0.0.1", 0, ssl=context, backlog=1024
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], sys.argv[2], float((*sys.argv, "0")[3])))
