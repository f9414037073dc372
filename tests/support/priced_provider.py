"""A provider with listed prices that answers or fails as each request specifies."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.support.scripted_provider import (
    CLOSE,
    RESET,
    ScriptedProvider,
    _read_request,
    stream,
    whole,
)

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from tests.support.scripted_provider import Script

MODEL = "priced-model"
LISTED: dict[str, Any] = {
    "id": MODEL,
    "object": "model",
    "pricing": {"prompt": "0.000001", "completion": "0.000003"},
    "context_length": 200_000,
    "max_output_length": 100_000,
}
_LISTING = {"object": "list", "data": [LISTED, {"id": "unpriced-model", "object": "model"}]}
_REFUSAL = {"error": {"message": "no", "type": "server_error", "code": "overloaded"}}
_DONE = b"data: [DONE]\n\n"


def frame(document: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(document).encode() + b"\n\n"


def _chunk(finish_reason: str | None = None, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": {"content": "a"}, "finish_reason": finish_reason}
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": MODEL}
    return head | {"choices": [choice]} | more


def _cost(cost_usd: float) -> dict[str, Any]:
    counts = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    return {"usage": counts, "estimated_cost_usd": cost_usd}


def _completion(**more: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": "a"}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    head = {"id": "c", "object": "chat.completion", "created": 1, "model": MODEL}
    return head | {"choices": [choice]} | more


_FIRST = frame(_chunk())
_LAST = frame(_chunk("stop"))


def _usage(usd: float) -> bytes:
    return frame(_chunk(choices=[], **_cost(usd)))


# Each fate's answer, by what it costs in US dollars; what follows is what the account must show:
# the cost, the whole reservation, or nothing.
COST, WORST, NOTHING = "cost", "worst", "nothing"
WHOLE: dict[str, tuple[Callable[[float], Script], str]] = {
    "answers": (lambda usd: whole(200, _completion(**_cost(usd))), COST),
    "counts no tokens": (lambda _: whole(200, _completion()), WORST),
    "refuses": (lambda _: whole(400, _REFUSAL), NOTHING),
    "is overloaded": (lambda _: whole(503, _REFUSAL, x_should_retry="false"), NOTHING),
    "refuses with 200": (lambda _: whole(200, _REFUSAL), NOTHING),
    "closes the connection": (lambda _: [RESET], WORST),
    "talks nonsense": (lambda _: whole(200, b"<html>"), WORST),
    "is interrupted": (lambda usd: [whole(200, _completion(**_cost(usd)))[0][:-9], RESET], WORST),
}
STREAMED: dict[str, tuple[Callable[[float], Script], str]] = {
    "answers": (lambda usd: stream(_FIRST, _LAST, _usage(usd), _DONE), COST),
    "counts no tokens": (lambda _: stream(_FIRST, _LAST, _DONE), WORST),
    "refuses": (lambda _: whole(400, _REFUSAL), NOTHING),
    "refuses with 200": (lambda _: stream(frame(_REFUSAL), _DONE), NOTHING),
    "fails later": (lambda _: stream(_FIRST, frame(_REFUSAL), _DONE), WORST),
    "closes the connection": (lambda _: [RESET], WORST),
    "is interrupted": (lambda _: [*stream(_FIRST, end=False), 0.05, RESET], WORST),
    "ends too early": (lambda _: stream(_FIRST), WORST),
    "is interrupted after the end": (
        lambda usd: [*stream(_FIRST, _LAST, _usage(usd), end=False), CLOSE],
        COST,
    ),
}
STALLS = "stalls"  # after the first event, until its caller leaves
HANGS = "hangs"  # before it answers anything


def question(fate: str, cost_nanos: int = 0, **more: Any) -> dict[str, Any]:
    """Return a request that meets this fate and costs so much."""
    asked = [{"role": "user", "content": "Hello"}]
    fated = {"user": f"{fate}:{cost_nanos}", "max_tokens": 10}
    return {"model": MODEL, "messages": asked} | fated | more


def expected_nanos(body: dict[str, Any], max_cost_nanos: int) -> int:
    """Return what the account must show of a request."""
    fate, _, cost = body["user"].partition(":")
    _, outcome = (STREAMED if body.get("stream") else WHOLE)[fate]
    return {COST: int(cost), WORST: max_cost_nanos, NOTHING: 0}[outcome]


@dataclass
class PricedProvider(ScriptedProvider):
    """Answers as each request specifies, concurrently."""

    asked: list[str] = field(default_factory=list)  # the fates met, in order

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as reader, suppress(OSError):
            while request := _read_request(reader):
                self.requests.append(request)
                if not self._play(connection, self._script(request.path, request.body)):
                    return

    def _script(self, path: str, text: bytes) -> Script:
        if path.endswith("/models"):
            return whole(200, _LISTING)
        body = json.loads(text)
        fate, _, cost = body["user"].partition(":")
        self.asked.append(fate)
        if fate == HANGS:
            return [600]
        if fate == STALLS:
            return [*stream(_FIRST, end=False), 600]
        script, _ = (STREAMED if body.get("stream") else WHOLE)[fate]
        return script(int(cost) / 10**9)
