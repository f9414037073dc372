"""Send answers whole or as streams, delayed and broken as the switches select."""

from collections.abc import Sequence
from dataclasses import replace

from local.provider_simulator.errors import ProviderError
from local.provider_simulator.switches import Switches
from local.provider_simulator.wire import JSON_TYPE, STREAM_TYPE, Json, Reply, Step, encode, frame

SUCCESS = 200
FIRST_EVENT_STATUS = 503
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


def stream_reply(steps: Sequence[Step], switches: Switches) -> Reply:
    """Return a stream, which the switches delay, or break in the middle of its content."""
    if switches["first-event"] == "error":
        steps = [_first_event_error(switches.number("status"))]
    steps = _broken(_delayed(steps, switches), switches)
    return Reply(status=SUCCESS, steps=steps, content_type=STREAM_TYPE)


def buffered_reply(value: Json, switches: Switches) -> Reply:
    """Return a buffered answer, which the switches delay, or break at half its length."""
    fault = switches["fault"]
    if fault in ONLY_STREAMS or switches["first-event"] == "error":
        message = f"first-event and fault={'|'.join(ONLY_STREAMS)} need stream: true."
        raise ProviderError(400, message, code="unknown_switch")
    data = encode(value)
    full = Step(data=data, wait_seconds=switches.seconds("first-token-delay"))
    middle = len(data) // 2
    half = replace(full, data=data[:middle])
    reply = Reply(status=SUCCESS, content_type=JSON_TYPE, steps=[full], length=len(data))
    match fault:
        case "cut":
            return replace(reply, steps=[half, Step(disconnects=True)])
        case "stall":
            rest = Step(wait_seconds=switches.seconds("stall"), data=data[middle:])
            return replace(reply, steps=[half, rest])
        case "malformed":
            return replace(reply, steps=[half], length=middle)
    return reply


def _first_event_error(status: int) -> Step:
    error = ProviderError(FIRST_EVENT_STATUS if status == SUCCESS else status)
    return Step(data=frame({"error": {**error.body()["error"], "status": error.status}}))


def _delayed(steps: Sequence[Step], switches: Switches) -> list[Step]:
    keep_alive = Step(data=KEEP_ALIVES[switches["keep-alive"]])
    first, *others = steps
    result = [keep_alive, replace(first, wait_seconds=switches.seconds("first-token-delay"))]
    seen_piece = first.is_piece
    for step in others:
        wait = switches.seconds("chunk-delay") if step.is_piece and seen_piece else 0.0
        seen_piece = seen_piece or step.is_piece
        result.append(replace(step, wait_seconds=wait))
    return result


def _broken(steps: list[Step], switches: Switches) -> list[Step]:
    fault = switches["fault"]
    pieces = [index for index, step in enumerate(steps) if step.is_piece]
    middle = pieces[(len(pieces) - 1) // 2] + 1 if pieces else len(steps) // 2
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
