"""A stream goes wrong after it has begun: its caller must hear of it, and never a clean end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.faults.fault import (
    ANSWERED,
    BROKE,
    BROKE_OR_CUT,
    CHAT_STREAM,
    REFUSED,
    RESPONSE_STREAM,
    STREAMS,
    Fault,
)
from tests.faults.provider.answers import DONE, frames
from tests.faults.provider.body_faults import MEGABYTE
from tests.faults.provider.wire import ERROR, STALL_SECONDS, event, head
from tests.support.scripted_provider import CLOSE, RESET, stream, whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.fault import Asked, Form, Outcomes
    from tests.support.scripted_provider import Script, Step

_COMMENT = b": still here\n\n"


def _middle(*steps: Step) -> Callable[[Asked], Script]:
    """Events up to somewhere, then this instead of the rest."""

    def script(asked: Asked) -> Script:
        events = frames(asked.form, asked.cost_nanos)
        begun = events[: asked.chance.randrange(1, len(events) - 4)]
        return stream(*begun, *steps, end=CLOSE not in steps and RESET not in steps)

    return script


def _among(*steps: Step) -> Callable[[Asked], Script]:
    """Every event, and this somewhere among them."""

    def script(asked: Asked) -> Script:
        events: list[Step] = list(frames(asked.form, asked.cost_nanos))
        at = asked.chance.randrange(1, len(events) - 4)
        return stream(*events[:at], *steps, *events[at:])

    return script


def _altered(alter: Callable[[bytes], bytes]) -> Callable[[Asked], Script]:
    """Every event, altered, in one go."""
    return lambda asked: stream(alter(b"".join(frames(asked.form, asked.cost_nanos))))


def _after(*steps: Step, end: bool = True) -> Callable[[Asked], Script]:
    """Every event, and this after the last."""
    return lambda asked: stream(*frames(asked.form, asked.cost_nanos), *steps, end=end)


def _bytewise(asked: Asked) -> Script:
    """Every byte by itself."""
    body = b"".join(frames(asked.form, asked.cost_nanos))
    return [head("Content-Type: text/event-stream", "Connection: close"),
            *(body[at : at + 1] for at in range(len(body))), CLOSE]  # fmt: skip


def _stream_fault(
    name: str,
    kind: str,
    script: Callable[[Asked], Script],
    allowed: Outcomes = BROKE_OR_CUT,
    forms: tuple[Form, ...] = STREAMS,
) -> Fault:
    return Fault(name=name, kind=kind, allowed=allowed, script=script, forms=forms, is_billed=True)


def _json(asked: Asked) -> Script:
    return whole(200, {"object": "nothing"}, content_type="text/html")


_WRONG = b'data: {"choices":[{"delta":{"content":"br\n\n'

STREAM_FAULTS = (
    Fault(name="an error as the first event", kind="error in a stream", allowed=REFUSED,
          script=lambda _: stream(event({"error": {"message": "no", "code": 503}})),
          forms=STREAMS),
    _stream_fault("reset between events", "cut stream", _middle(RESET)),
    _stream_fault("end between events", "cut stream", _middle(CLOSE)),
    _stream_fault("a clean end too early", "cut stream", _middle()),
    _stream_fault("DONE too early", "cut stream", _middle(DONE), forms=(RESPONSE_STREAM,)),
    _stream_fault("stall between events", "stalled stream", _middle(STALL_SECONDS, CLOSE)),
    _stream_fault("half an event, then nothing", "stalled stream",
                  _middle(b'data: {"id', STALL_SECONDS, CLOSE)),
    _stream_fault("comments and a stall", "stalled stream",
                  _middle(_COMMENT, 0.3, _COMMENT, STALL_SECONDS, CLOSE)),
    _stream_fault("an error event", "error in a stream", _middle(event(ERROR))),
    _stream_fault("an error event and DONE", "error in a stream", _middle(event(ERROR), DONE)),
    _stream_fault("an error by its name", "error in a stream",
                  _middle(b'event: error\ndata: {"message": "no"}\n\n')),
    _stream_fault("a broken event", "malformed events", _middle(_WRONG)),
    _stream_fault("an event that is no UTF-8", "malformed events",
                  _middle(b'data: {"a": "\xff"}\n\n')),
    _stream_fault("an event with a NUL", "malformed events", _middle(b'data: {"a": "\0"}\n\n')),
    _stream_fault("a list for an event", "malformed events", _middle(b"data: [1]\n\n")),
    _stream_fault("an event of 40 MB", "malformed events",
                  _middle(b"data: ", *[b"x" * MEGABYTE] * 40, CLOSE)),
    _stream_fault("a deep nest for an event", "malformed events",
                  _middle(b"data: " + b"[" * 200_000 + b"\n\n")),
    _stream_fault("comments in between", "odd streams", _among(_COMMENT), ANSWERED),
    _stream_fault("id and retry lines", "odd streams", _among(b"id: 7\nretry: 1\n\n"), ANSWERED),
    _stream_fault("an empty event", "odd streams", _among(b"data:\n\n"), ANSWERED),
    _stream_fault("an unknown event", "odd streams", _among(b'data: {"type": "ping"}\n\n'),
                  ANSWERED, (CHAT_STREAM,)),
    _stream_fault("events after the end", "odd streams", _after(event(ERROR), DONE), ANSWERED),
    _stream_fault("open after the end", "odd streams", _after(STALL_SECONDS, end=False), ANSWERED),
    _stream_fault("a reset after the end", "odd streams", _after(RESET, end=False),
                  BROKE_OR_CUT | ANSWERED),
    _stream_fault("CRLF lines", "odd streams",
                  _altered(lambda body: body.replace(b"\n", b"\r\n")), ANSWERED),
    _stream_fault("CR lines", "odd streams",
                  _altered(lambda body: body.replace(b"\n", b"\r")), ANSWERED),
    _stream_fault("byte by byte", "slow drip", _bytewise, ANSWERED),
    _stream_fault("no DONE", "odd streams", _altered(lambda body: body.replace(DONE, b"")),
                  ANSWERED),
    _stream_fault("a page for a stream", "malformed", _json, BROKE),
)  # fmt: skip
