"""Delay and break answers as the switches select."""

import socket
import struct
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from local.provider_simulator.errors import ProviderError
from local.provider_simulator.switches import Switches
from local.provider_simulator.wire import Reply, Step, frame

if TYPE_CHECKING:
    from asyncio import Transport

NO_ANSWER = ("reset", "close")
ONLY_STREAMS = ("silent-close", "error-frame", "error-event", "no-done")
KEEP_ALIVES = {"comment": b": keep-alive\n\n", "blank": b"\n", "none": b""}
BROKEN_FRAME = b'data: {"choices":[{"delta":{"content":"br\n\n'
STREAM_ERROR = ProviderError(502, "The stream broke off.", code="upstream_error")
FLAT_ERROR = {
    "type": "error", "message": STREAM_ERROR.message, "code": STREAM_ERROR.code, "param": None
}  # fmt: skip
ENDINGS = {
    "cut": [Step(disconnects=True)],
    "silent-close": [],
    "error-frame": [Step(data=frame(STREAM_ERROR.body()))],
    "error-event": [Step(data=frame(FLAT_ERROR, "error"))],
}


def delayed(steps: Sequence[Step], switches: Switches) -> list[Step]:
    """Return a stream with its keep-alive and delays."""
    keep_alive = Step(data=KEEP_ALIVES[switches["keep-alive"]])
    first, *others = steps
    first = replace(first, wait_seconds=switches.seconds("first-token-delay"))
    seen_piece = first.is_piece
    result = [keep_alive, first]
    for step in others:
        wait = switches.seconds("chunk-delay") if step.is_piece and seen_piece else 0.0
        seen_piece = seen_piece or step.is_piece
        result.append(replace(step, wait_seconds=wait))
    return result


def broken_stream(steps: list[Step], switches: Switches) -> list[Step]:
    """Return a stream that the switch `fault` breaks in the middle of its content."""
    fault = switches["fault"]
    middle = _middle(steps)
    before, after = steps[:middle], steps[middle:]
    if fault in ENDINGS:
        return [*before, *ENDINGS[fault]]
    if fault == "stall":
        return [*before, Step(wait_seconds=switches.seconds("stall")), *after]
    if fault == "malformed":
        return [*before, Step(data=BROKEN_FRAME), *after[1:]]
    if fault == "no-done":
        return [step for step in steps if not step.is_terminal]
    return steps


def delayed_or_broken_body(reply: Reply, switches: Switches) -> Reply:
    """Return a buffered answer that the switches delay, or break at half its length."""
    fault = switches["fault"]
    if fault in ONLY_STREAMS or switches["first-event"] == "error":
        message = f"first-event and fault={'|'.join(ONLY_STREAMS)} need stream: true."
        raise ProviderError(400, message, code="unknown_switch")
    data = b"".join(step.data for step in reply.steps)
    full = Step(data=data, wait_seconds=switches.seconds("first-token-delay"))
    half = replace(full, data=data[: len(data) // 2])
    rest = data[len(data) // 2 :]
    match fault:
        case "cut":
            return replace(reply, steps=[half, Step(disconnects=True)])
        case "stall":
            pause = Step(wait_seconds=switches.seconds("stall"), data=rest)
            return replace(reply, steps=[half, pause])
        case "malformed":
            return replace(reply, steps=[half], length=len(half.data))
    return replace(reply, steps=[full])


def first_event_error(status: int) -> Step:
    """Return an error event that includes a status."""
    error = ProviderError(status)
    return Step(data=frame({"error": {**error.body()["error"], "status": status}}))


def reset(transport: "Transport") -> None:
    """Close a connection with a TCP reset."""
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _middle(steps: Sequence[Step]) -> int:
    indexes = [index for index, step in enumerate(steps) if step.is_piece]
    return indexes[(len(indexes) - 1) // 2] + 1 if indexes else len(steps) // 2
