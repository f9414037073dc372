"""Reads an answer in a thread of its own, so that silence can be told from an end."""

from __future__ import annotations

import queue
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

CAPACITY = 16  # pieces read ahead; beyond that the provider has to wait for the caller


class Pump:
    """A source of bytes that can be waited for with a limit."""

    def __init__(self, read: Callable[[], bytes]) -> None:
        self._read = read
        self._pieces: queue.Queue[bytes | Exception] = queue.Queue(CAPACITY)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="provider-answer", daemon=True)
        self._thread.start()

    def take(self, seconds: float) -> bytes:
        """Return what has come, b"" at the end; TimeoutError if nothing came in time."""
        try:
            piece = self._pieces.get(timeout=max(seconds, 0.001))
        except queue.Empty:
            raise TimeoutError from None
        if isinstance(piece, Exception):
            raise piece
        return piece

    def stop(self) -> None:
        """End the thread; whoever calls has made the blocked read return."""
        self._stopped.set()
        with suppress(queue.Empty):  # makes room for a piece that waits for it
            self._pieces.get_nowait()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while True:
            piece = self._read_one()
            self._hand_on(piece)
            if not piece or isinstance(piece, Exception) or self._stopped.is_set():
                return

    def _read_one(self) -> bytes | Exception:
        try:
            return self._read()
        except Exception as error:  # noqa: BLE001 - raised again where it is taken
            return error

    def _hand_on(self, piece: bytes | Exception) -> None:
        while not self._stopped.is_set():
            with suppress(queue.Full):
                self._pieces.put(piece, timeout=0.2)
                return
