"""Send answers whole or as streams, delayed and broken as the switches select."""

from collections.abc import Sequence
from dataclasses import replace

from local.provider_simulator.switches import Switches
from local.provider_simulator.wire import (
    STREAM_TYPE,
    Json,
    ProviderError,
    Reply,
    Step,
    encode,
    frame,
)

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
        status = switches.number("status")
        error = ProviderError(FIRST_EVENT_STATUS if status == SUCCESS else status)
        steps = [Step(data=frame({"error": {**error.body()["error"], "status": error.status}}))]
    steps = _broken(_delayed(steps, switches), switches)
    return Reply(status=SUCCESS, steps=steps, content_type=STREAM_TYPE)


def buffered_reply(value: Json, switches: Switches) -> Reply:
    """Return a buffered answer, which the switches delay, or break at half its length."""
    fault = switches["fault"]
    if fault in ONLY_STREAMS or switches["first-event"] == "error":
        message = f"first-event and fault={'|'.join(ONLY_STREAMS)} need stream: true."
        raise ProviderError(400, message, code="unknown_switch")
    data = encode(value)
    middle = len(data) // 2
    full = Step(data=data, wait_seconds=switches.seconds("first-token-delay"))
    half = replace(full, data=data[:middle])
    rest = Step(data=data[middle:], wait_seconds=switches.seconds("stall"))
    broken = {"cut": [half, Step(disconnects=True)], "stall": [half, rest], "malformed": [half]}
    length = middle if fault == "malformed" else len(data)
    return Reply(status=SUCCESS, steps=broken.get(fault, [full]), length=length)


def _delayed(steps: Sequence[Step], switches: Switches) -> list[Step]:
    pieces = [index for index, step in enumerate(steps) if step.is_piece]
    waits = dict.fromkeys(pieces[1:], switches.seconds("chunk-delay"))
    waits[0] = switches.seconds("first-token-delay")
    keep_alive = Step(data=KEEP_ALIVES[switches["keep-alive"]])
    delayed = (replace(step, wait_seconds=waits.get(i, 0.0)) for i, step in enumerate(steps))
    return [keep_alive, *delayed]


def _broken(steps: list[Step], switches: Switches) -> list[Step]:
    fault = switches["fault"]
    if fault == "no-done":
        return [step for step in steps if not step.is_terminal]
    pieces = [index for index, step in enumerate(steps) if step.is_piece]
    middle = pieces[(len(pieces) - 1) // 2] + 1 if pieces else len(steps) // 2
    before, after = steps[:middle], steps[middle:]
    endings = {
        **ENDINGS,
        "stall": [Step(wait_seconds=switches.seconds("stall")), *after],
        "malformed": [Step(data=BROKEN_FRAME), *after[1:]],
    }
    return [*before, *endings.get(fault, after)]
