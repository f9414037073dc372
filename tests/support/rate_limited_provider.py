"""A provider with a rate limit, with or without rate limit headers."""

from __future__ import annotations

import json
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.support.failing_provider import completion
from tests.support.priced_provider import LISTED
from tests.support.scripted_provider import ScriptedProvider, _read_request, whole

if TYPE_CHECKING:
    import socket

    from tests.support.scripted_provider import Script

_REFUSAL = {"error": {"message": "Too many.", "type": "rate_limit_error", "code": "rate_limited"}}


@dataclass
class RateLimitedProvider(ScriptedProvider):
    """Answers `limit` requests in every `seconds`; `sends_headers` announces the limit."""

    limit: int = 40
    seconds: float = 1.0
    sends_headers: bool = True
    answered: int = 0
    refused: int = 0
    _window_end: float = 0.0
    _requests: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as reader, suppress(OSError):
            while request := _read_request(reader):
                listed = request.path.endswith("/models")
                script = whole(200, {"data": [LISTED]}) if listed else self._script()
                if not self._play(connection, script):
                    return

    def _script(self) -> Script:
        with self._lock:
            now = time.monotonic()
            if now >= self._window_end:
                self._window_end, self._requests = now + self.seconds, 0
            self._requests += 1
            is_refused = self._requests > self.limit
            self.refused += is_refused
            self.answered += not is_refused
            headers = self._headers(self._window_end - now) if self.sends_headers else {}
        if is_refused:
            return whole(429, _REFUSAL, **headers)
        return whole(200, json.dumps(completion()).encode(), **headers)

    def _headers(self, reset: float) -> dict[str, str]:
        return {
            "x_ratelimit_limit_requests": str(self.limit),
            "x_ratelimit_remaining_requests": str(max(0, self.limit - self._requests)),
            "x_ratelimit_reset_requests": f"{reset * 1000:.1f}ms",
        }
