"""No connection comes about: nothing was sent, so nothing may be charged."""

from __future__ import annotations

import socket
import struct
import tempfile
import time
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from bench.environment.certificate import make
from tests.faults.fault import REFUSED, Fault
from tests.faults.provider.faulty_provider import server_context
from tests.faults.provider.wire import STALL_SECONDS

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

    from tests.faults.fault import World
    from tests.faults.provider.faulty_provider import Greeting


@contextmanager
def refused(world: World) -> Iterator[None]:
    """Nothing listens on the port."""
    world.provider.refuse()
    try:
        yield
    finally:
        world.provider.listen()


def resets(connection: socket.socket) -> None:
    """Hang up with a reset, which is what closing does with this option."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def resets_in_handshake(connection: socket.socket) -> None:
    """Hang up once the other end has begun its handshake."""
    connection.recv(1)
    resets(connection)


def ends_in_handshake(connection: socket.socket) -> None:
    """Close once the other end has begun its handshake."""
    connection.recv(65536)


def speaks_plainly(connection: socket.socket) -> None:
    """Answer without TLS."""
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    connection.recv(65536)


def stalls_in_handshake(connection: socket.socket) -> None:
    """Take the handshake's beginning and say nothing."""
    connection.recv(65536)
    time.sleep(STALL_SECONDS)


def has_a_stranger_s_certificate(connection: socket.socket) -> None:
    """Show an untrusted certificate."""
    _stranger().wrap_socket(connection, server_side=True)


def alerts(connection: socket.socket) -> None:
    """Refuse to shake hands, in TLS's own words."""
    connection.recv(65536)
    connection.sendall(b"\x15\x03\x03\x00\x02\x02\x28")


@cache
def _stranger() -> ssl.SSLContext:
    with tempfile.TemporaryDirectory() as folder:
        return server_context(make(Path(folder)))


TLS_FAULTS: dict[str, Greeting] = {
    "reset at once": resets,
    "reset in the handshake": resets_in_handshake,
    "end in the handshake": ends_in_handshake,
    "no TLS at all": speaks_plainly,
    "stall in the handshake": stalls_in_handshake,
    "a stranger's certificate": has_a_stranger_s_certificate,
    "a handshake alert": alerts,
}


def _tls(name: str, greet: Greeting) -> Fault:
    def around(world: World) -> AbstractContextManager[None]:
        return world.provider.greeting(greet)

    return Fault(name=name, kind="TLS failure", allowed=REFUSED, around=around)


CONNECTION_FAULTS = (
    Fault(name="connect refused", kind="connect refused", allowed=REFUSED, around=refused),
    *(_tls(name, greet) for name, greet in TLS_FAULTS.items()),
)
