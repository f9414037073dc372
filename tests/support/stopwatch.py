"""Times what the code takes, without what a busy machine does to it."""

from __future__ import annotations

import threading
import time
from typing import Self

_TICK_SECONDS = 0.01


class Stopwatch:
    """The seconds that went by, less those in which a thread with next to nothing to do stood."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._stood = 0.0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._started = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        seconds = time.monotonic() - self._started
        self._is_over.set()
        self._thread.join()
        self.seconds = seconds - self._stood

    def _watch(self) -> None:
        before = time.monotonic()
        while not self._is_over.wait(_TICK_SECONDS):
            now = time.monotonic()
            self._stood += max(0.0, now - before - 2 * _TICK_SECONDS)
            before = now
