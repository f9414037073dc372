"""Reads an answer in a thread of its own, so that silence can be told from an end."""

from __future__ import annotations

import queue
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

CAPACITY = 16  # pieces read ahead; beyond that the provider has to wait for the caller
LARGEST_PIECE_BYTES = 65536


class Pump:
    """A source of bytes that can be waited for with a limit.

    What is there at once is handed on at once: to change threads for each event of a burst would
    take longer than all that is done with it.
    """

    def __init__(self, read: Callable[[], bytes], is_more_here: Callable[[], bool]) -> None:
        self._read = read
        self._is_more_here = is_more_here
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
        end = None
        while end is None and not self._stopped.is_set():
            piece, end = self._gather()
            if piece:
                self._hand_on(piece)
        if end is not None:
            self._hand_on(end)

    def _gather(self) -> tuple[bytes, bytes | Exception | None]:
        """Return what can be read without waiting twice, and what ended it."""
        gathered = bytearray()
        try:
            while piece := self._read():
                gathered += piece
                if len(gathered) >= LARGEST_PIECE_BYTES or not self._is_more_here():
                    return bytes(gathered), None
        except Exception as error:  # noqa: BLE001 - raised again where it is taken
            return bytes(gathered), error
        return bytes(gathered), b""

    def _hand_on(self, piece: bytes | Exception) -> None:
        while not self._stopped.is_set():
            with suppress(queue.Full):
                self._pieces.put(piece, timeout=0.2)
                return
