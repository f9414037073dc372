"""A provider on loopback that does exactly what a script says, byte for byte."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

# Bytes to send, seconds to wait, an event to set, a barrier to meet at, or one of the words below.
Step = Any
RESET, CLOSE = "reset", "close"
Script = list[Step]
TIMEOUT_SECONDS = 60  # with what a slow machine will do in the end


@dataclass
class Request:
    """What the provider was sent."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class ScriptedProvider:
    """Answers each request with the next script; the last one serves for all that follow."""

    scripts: list[Script] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    disconnected: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> ScriptedProvider:
        self._closing = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self.drop_connections()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(timeout=10)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"

    def has_no_callers(self) -> bool:
        """Tell whether every connection is closed and served."""
        return not any(thread.is_alive() for thread in self._threads[1:])

    def drop_connections(self) -> None:
        """Hang up on everyone, as a server does with connections that idle."""
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as reader, suppress(OSError):
            while request := _read_request(reader):
                self.requests.append(request)
                index = min(len(self.requests), len(self.scripts)) - 1
                if not self._play(connection, self.scripts[index]):
                    return

    def _play(self, connection: socket.socket, script: Script) -> bool:
        try:
            return all(self._do(connection, step) for step in script)
        except OSError:
            self.disconnected.set()
            return False

    def _do(self, connection: socket.socket, step: Step) -> bool:
        if isinstance(step, bytes):
            connection.sendall(step)
        elif isinstance(step, threading.Event):
            step.set()
        elif isinstance(step, threading.Barrier):
            with suppress(threading.BrokenBarrierError):
                step.wait(TIMEOUT_SECONDS)
        elif step == RESET:
            linger = struct.pack("ii", 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            socket.close(connection.detach())
        elif step == CLOSE:
            connection.shutdown(socket.SHUT_RDWR)
        else:
            self._closing.wait(step)
        return step not in (RESET, CLOSE)


def _read_request(reader: Any) -> Request | None:
    line = reader.readline()
    if not line:
        return None
    method, path, _ = line.decode().split()
    headers = {}
    while (line := reader.readline()) not in (b"\r\n", b""):
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    body = reader.read(int(headers.get("content-length", "0")))
    return Request(method, path, headers, body)


def whole(status: int, document: Any, **headers: str) -> Script:
    """Answer with a JSON document, or with bytes as they are."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    lines = {"content-type": "application/json", "content-length": str(len(body))} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    return [_head(status, lines) + body]


def stream(*steps: Step, end: bool = True) -> Script:
    """Answer with server-sent events; bytes become chunks, other steps are done in between."""
    head = _head(200, {"content-type": "text/event-stream", "transfer-encoding": "chunked"})
    chunks = [chunk(step) if isinstance(step, bytes) else step for step in steps]
    return [head, *chunks, b"0\r\n\r\n"] if end else [head, *chunks]


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _head(status: int, headers: dict[str, str]) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} Scripted\r\n{lines}\r\n".encode()


def wait_until(true: Callable[[], bool], seconds: float = TIMEOUT_SECONDS) -> None:
    """Wait for something that is about to happen."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def pieces(body: Iterable[bytes]) -> Iterator[bytes]:
    """Take a streamed body as the runtime does, and close it."""
    try:
        yield from body
    finally:
        getattr(body, "close", lambda: None)()
