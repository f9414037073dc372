"""A provider that handles each row as its `user` field says: one word per request.

`"503 200"` is refused once and then answered; the last word applies to all later requests. A word
may have a number: `429:30` has a Retry-After, `slow:2` is answered after so many seconds, and
`late:2` is refused for an hour after so many. `held` is answered once `may_answer` is set.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.support.priced_provider import LISTED, MODEL
from tests.support.scripted_provider import (
    CLOSE,
    RESET,
    TIMEOUT_SECONDS,
    ScriptedProvider,
    _read_request,
    whole,
)

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable

    from tests.support.scripted_provider import Script

COST_USD = 0.000025  # of each answer
_ERROR = {"error": {"message": "no", "type": "server_error", "code": "overloaded"}}


def completion(words: int = 1) -> dict[str, Any]:
    message = {"role": "assistant", "content": "word " * words}
    return {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": MODEL,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
        "estimated_cost_usd": COST_USD,
    }


def line(number: int, behaviour: str = "200", **body: Any) -> bytes:
    """One line of a batch's file."""
    asked = [{"role": "user", "content": f"row {number}"}]
    body_of_row = {"model": MODEL, "user": behaviour, "messages": asked, "max_tokens": 10} | body
    row = {"custom_id": f"row-{number}", "method": "POST", "url": "/v1/chat/completions"}
    return json.dumps(row | {"body": body_of_row}).encode() + b"\n"


def rows(behaviours: Iterable[str], **body: Any) -> bytes:
    """A batch's file, one line per behaviour."""
    return b"".join(line(number, behaviour, **body) for number, behaviour in enumerate(behaviours))


@dataclass
class FailingProvider(ScriptedProvider):
    """Handles rows in parallel; `max_in_progress` is the largest `in_progress` so far."""

    asked: Counter[str] = field(default_factory=Counter)  # by the row's message
    max_in_progress: int = 0
    in_progress: int = 0
    may_answer: threading.Event = field(default_factory=threading.Event)
    last_body: bytes = b""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as reader, suppress(OSError, ValueError):
            while request := _read_request(reader):  # half of one, if its caller was killed
                if not self._answer(connection, request.path, request.body):
                    return

    def _answer(self, connection: socket.socket, path: str, text: bytes) -> bool:
        if path.endswith("/models"):
            return self._play(connection, whole(200, {"object": "list", "data": [LISTED]}))
        self.last_body, body = text, json.loads(text)
        with self._lock:
            self.in_progress += 1
            self.max_in_progress = max(self.max_in_progress, self.in_progress)
            word = self._word(body)
        if word == "held":
            self.may_answer.wait(TIMEOUT_SECONDS)
        *before, last = script_of(word)
        is_open = self._play(connection, before)
        with self._lock:  # before its caller can know of the end, and ask for another row
            self.in_progress -= 1
        return is_open and self._play(connection, [last])

    def _word(self, body: dict[str, Any]) -> str:
        message = body["messages"][0]["content"]
        words = body["user"].split()
        self.asked[message] += 1
        word: str = words[min(self.asked[message], len(words)) - 1]
        return word


def script_of(word: str) -> Script:
    kind, _, number = word.partition(":")
    if kind == "slow":
        return [float(number), *whole(200, completion())]
    if kind == "late":
        return [float(number), *whole(429, _ERROR, retry_after="3600")]
    if kind == "long":
        return whole(200, completion(int(number)))
    if kind == "spread":
        return whole(200, json.dumps(completion(), indent=2).encode())
    if kind == "cut":
        return [whole(200, completion())[0][:-9], CLOSE]
    fixed: dict[str, Script] = {
        "200": whole(200, completion()),
        "held": whole(200, completion()),
        "reset": [RESET],
        "nonsense": whole(200, b"<html>"),
        "hidden": whole(200, _ERROR),
    }
    more = {"retry_after": number} if number else {}
    return fixed[kind] if kind in fixed else whole(int(kind), _ERROR, **more)
