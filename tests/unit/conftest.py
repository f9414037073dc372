"""Unit tests may not open sockets, nor may the threads that they start.

Others may: stacks of other tests live on in this process, and their threads must not notice.
"""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

_OF_THE_TEST: WeakSet[threading.Thread] = WeakSet()
_start = threading.Thread.start


class NoSocketsError(RuntimeError):
    """A unit test has tried to open a socket."""


class _Socket(socket.socket):
    def __init__(self, *args: Any, **more: Any) -> None:
        if threading.current_thread() in _OF_THE_TEST:
            raise NoSocketsError
        super().__init__(*args, **more)


def _start_as_a_child(thread: threading.Thread) -> None:
    if threading.current_thread() in _OF_THE_TEST:
        _OF_THE_TEST.add(thread)
    _start(thread)


@pytest.fixture(autouse=True)
def _no_sockets(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(socket, "socket", _Socket)
    monkeypatch.setattr(threading.Thread, "start", _start_as_a_child)
    _OF_THE_TEST.add(threading.current_thread())
    yield
    _OF_THE_TEST.clear()
