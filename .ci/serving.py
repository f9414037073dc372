"""Servers that run for the length of a block."""
# ruff: noqa: S603 - it starts commands of our own

from __future__ import annotations

import socket
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sample_events import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

BRIDGE = "172.17.0.1"  # this host, as Docker's containers see it
LOOPBACK = "127.0.0.1"
START_SECONDS = 60
LOG = ROOT / ".aws-sam" / "local.log"


@contextmanager
def serving(host: str, *command: str) -> Iterator[str]:
    """Run a server for the block, and yield its address once it listens."""
    port = free_port(host)
    listen = ("--host", host, "--port", str(port))
    with LOG.open("ab") as log:
        process = subprocess.Popen([*command, *listen], cwd=ROOT, stdout=log, stderr=log)
    try:
        wait_until_listening(process, host, port)
        yield f"{host}:{port}"
    finally:
        process.terminate()  # upon SIGTERM, SAM's servers remove their containers
        process.wait(START_SECONDS)


def free_port(host: str) -> int:
    """Return an unused port."""
    with socket.create_server((host, 0)) as server:
        return int(server.getsockname()[1])


def wait_until_listening(process: subprocess.Popen[bytes], host: str, port: int) -> None:
    """Return as soon as the port answers; RuntimeError if it never does."""
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection((host, port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"Nothing listens on {host}:{port} after: {process.args!r}")
