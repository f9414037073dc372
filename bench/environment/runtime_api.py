"""A Lambda execution environment: one process, and the Runtime API that it talks to.

The local stack's Runtime API does all that Lambda does; this one adds as little latency as
possible.
"""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.client import parse_headers
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from email.message import Message

TIMEOUT_SECONDS = 900
DEADLINE_MILLISECONDS = 890_000  # as of the batch functions
PRELUDE_END = bytes(8)
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class InvocationResult:
    """A function's answer, with the seconds from the event to its first byte and to its end."""

    body: bytes
    first_byte_seconds: float
    seconds: float


class Environment:
    """A function's process from its start on; answers one event at a time."""

    def __init__(self, command: Sequence[str], environ: Mapping[str, str]) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._readers: dict[socket.socket, IO[bytes]] = {}
        self._next: socket.socket | None = None
        port = self._listener.getsockname()[1]
        self.started = time.perf_counter()
        self.process = subprocess.Popen(  # noqa: S603 - our own command
            command,
            env={**environ, "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{port}"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )

    def __enter__(self) -> Self:
        """Have the process run for a block."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()
        for connection, reader in self._readers.items():
            reader.close()
            connection.close()
        self._listener.close()

    def invoke(self, event: Mapping[str, Any]) -> InvocationResult:
        """Hand the process an event and return its answer; RuntimeError if it fails."""
        while self._next is None:
            self._next, path, headers, _ = self._request()
            if not path.endswith("/next"):
                self._raise_failure(path, headers)
        begun = time.perf_counter()
        body = json.dumps(event).encode()
        _answer(self._next, "200 OK", _invocation_headers(), body)
        self._next = None
        return self._result(begun)

    def cpu_seconds(self) -> float:
        """Return the CPU time of the process so far, in steps of 10 ms."""
        return cpu_seconds_of(self.process.pid)

    def resident_megabytes(self) -> float:
        """Return the memory that the process has in use."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE") / 1e6

    def peak_megabytes(self) -> float:
        """Return the most memory that the process has had in use."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6

    def _result(self, begun: float) -> InvocationResult:
        connection, path, headers, reader = self._request()
        if not path.endswith("/response"):
            self._raise_failure(path, headers)
        if "chunked" in headers.get("transfer-encoding", ""):
            body, first = _chunked(reader)
        else:
            body = reader.read(int(headers["content-length"]))
            first = time.perf_counter()
        ended = time.perf_counter()
        _answer(connection, "202 Accepted", "", b"")
        return InvocationResult(body=body, first_byte_seconds=first - begun, seconds=ended - begun)

    def _request(self) -> tuple[socket.socket, str, Message, IO[bytes]]:
        """Return the head of the next request of the process, whichever connection it is on."""
        while True:
            ready, _, _ = select.select([self._listener, *self._readers], [], [], TIMEOUT_SECONDS)
            if not ready:
                raise RuntimeError(f"The function does nothing: {self.process.args!r}")
            for one in ready:
                if one is self._listener:
                    self._accept()
                elif line := self._readers[one].readline():
                    reader = self._readers[one]
                    return one, line.decode().split()[1], parse_headers(reader), reader
                else:
                    self._readers.pop(one).close()
                    one.close()

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._readers[connection] = connection.makefile("rb")

    def _raise_failure(self, path: str, headers: Message) -> None:
        kind = headers.get("lambda-runtime-function-error-type", "")
        raise RuntimeError(f"The function failed ({path}, {kind}): {self.process.args!r}")


def cpu_seconds_of(pid: int) -> float:
    """Return the CPU time of a process so far, in steps of 10 ms."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


def _chunked(reader: IO[bytes]) -> tuple[bytes, float]:
    """Return a streamed body, and when the first of it came that is no prelude."""
    body, size, first = b"", 0, 0.0
    pieces = []
    while length := int(reader.readline(), 16):
        pieces.append(reader.read(length))
        reader.readline()
        size += length
        if not first and (size > length or not pieces[0].endswith(PRELUDE_END)):
            first = time.perf_counter()
    while reader.readline() not in (b"\r\n", b""):
        pass
    body = b"".join(pieces).partition(PRELUDE_END)[2]
    return body, first


def _invocation_headers() -> str:
    deadline = int(time.time() * 1000) + DEADLINE_MILLISECONDS
    return (
        f"Lambda-Runtime-Aws-Request-Id: {uuid.uuid4()}\r\n"
        f"Lambda-Runtime-Deadline-Ms: {deadline}\r\n"
        "Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:us-east-1:123456789012:function:f\r\n"
        "Content-Type: application/json\r\n"
    )


def _answer(connection: socket.socket, status: str, headers: str, body: bytes) -> None:
    head = f"HTTP/1.1 {status}\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode() + body)
