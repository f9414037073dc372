"""A provider that takes so many requests at a time, and says so beforehand or not."""

from __future__ import annotations

import json
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.support.failing_provider import completion
from tests.support.paying_provider import LISTED
from tests.support.scripted_provider import ScriptedProvider, _read_request, whole

if TYPE_CHECKING:
    import socket

    from tests.support.scripted_provider import Script

_REFUSAL = {"error": {"message": "Too many.", "type": "rate_limit_error", "code": "rate_limited"}}


@dataclass
class LimitedProvider(ScriptedProvider):
    """Answers `limit` requests in every `seconds`; `tells` is whether its headers say so."""

    limit: int = 40
    seconds: float = 1.0
    tells: bool = True
    answered: int = 0
    refused: int = 0
    _ends: float = 0.0
    _asked: int = 0
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as reader, suppress(OSError):
            while request := _read_request(reader):
                listed = request.path.endswith("/models")
                script = whole(200, {"data": [LISTED]}) if listed else self._script()
                if not self._play(connection, script):
                    return

    def _script(self) -> Script:
        with self._turn:
            now = time.monotonic()
            if now >= self._ends:
                self._ends, self._asked = now + self.seconds, 0
            self._asked += 1
            is_refused = self._asked > self.limit
            self.refused += is_refused
            self.answered += not is_refused
            headers = self._headers(self._ends - now) if self.tells else {}
        if is_refused:
            return whole(429, _REFUSAL, **headers)
        return whole(200, json.dumps(completion()).encode(), **headers)

    def _headers(self, reset: float) -> dict[str, str]:
        return {
            "x_ratelimit_limit_requests": str(self.limit),
            "x_ratelimit_remaining_requests": str(max(0, self.limit - self._asked)),
            "x_ratelimit_reset_requests": f"{reset * 1000:.1f}ms",
        }
