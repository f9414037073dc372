"""Servers that run for the length of a block."""
# ruff: noqa: S603 - it runs commands of our own, and Docker

from __future__ import annotations

import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sample_events import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

LOOPBACK = "127.0.0.1"
GATEWAY = ("docker", "network", "inspect", "bridge", "-f", "{{(index .IPAM.Config 0).Gateway}}")
START_SECONDS = 60
LOG = ROOT / ".aws-sam" / "local.log"


def docker_host() -> str:
    """Return the address to listen on so that containers reach this host."""
    if sys.platform == "darwin":  # containers run in a virtual machine, which forwards to loopback
        return LOOPBACK
    found = subprocess.run(GATEWAY, stdout=subprocess.PIPE, text=True, check=False)
    return found.stdout.strip() or sys.exit("Docker does not answer: is it running?")


def container_address(address: str) -> str:
    """Return the address under which containers reach an address of this host."""
    return address.replace(LOOPBACK, "host.docker.internal")


@contextmanager
def serving(host: str, *command: str) -> Iterator[str]:
    """Run a server that takes --host and --port for the block; yield its address."""
    port = free_port(host)
    with running(host, port, *command, "--host", host, "--port", str(port)) as address:
        yield address


@contextmanager
def running(host: str, port: int, *command: str) -> Iterator[str]:
    """Run a server for the block, and yield its address once it listens."""
    with LOG.open("ab") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
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
