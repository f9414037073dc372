"""Unit tests open no sockets, and do not keep others from it."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.unit.conftest import NoSocketsError

if TYPE_CHECKING:
    from collections.abc import Iterator


def open_one() -> None:
    with socket.create_server(("127.0.0.1", 0)):
        pass


@pytest.fixture(scope="module")
def other_threads() -> Iterator[ThreadPoolExecutor]:
    """A thread that began before the test, as those of a stack do."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(int).result()
        yield pool


def test_a_unit_test_opens_no_socket() -> None:
    with pytest.raises(NoSocketsError):
        open_one()


def test_a_thread_of_a_unit_test_opens_no_socket() -> None:
    with ThreadPoolExecutor(1) as pool, pytest.raises(NoSocketsError):
        pool.submit(open_one).result()


def test_other_threads_can_open_sockets_meanwhile(other_threads: ThreadPoolExecutor) -> None:
    other_threads.submit(open_one).result()

    def in_a_thread_of_its_own() -> None:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(open_one).result()

    other_threads.submit(in_a_thread_of_its_own).result()
