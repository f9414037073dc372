"""No answer, or none with a valid head: it may have been billed anyway."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.faults.fault import ANSWERED, BROKE, Fault, Outcomes
from tests.faults.provider.wire import STALL_SECONDS, body_of, head, lengthy, sent, typed
from tests.support.scripted_provider import CLOSE, RESET

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.fault import Asked
    from tests.support.scripted_provider import Script, Step

MEGABYTE = 1 << 20


def _steps(*steps: Step) -> Callable[[Asked], Script]:
    return lambda _: list(steps)


def _in_head(*lines: str | bytes) -> Callable[[Asked], Script]:
    """The right answer, with these lines in its head."""

    def script(asked: Asked) -> Script:
        body = body_of(asked)
        return [head(typed(asked), lengthy(body), *lines) + body]

    return script


def _instead(*lines: str, status: str = "200 OK") -> Callable[[Asked], Script]:
    """The right answer behind a head of these lines alone."""
    return lambda asked: [head(typed(asked), *lines, status=status) + body_of(asked), CLOSE]


def _half_a_head(last: Step) -> Callable[[Asked], Script]:
    def script(asked: Asked) -> Script:
        whole = head(typed(asked), lengthy(body_of(asked)), "X-Request-Id: a")
        return [whole[: asked.chance.randrange(len(whole))], last]

    return script


def _drip(asked: Asked) -> Script:
    """The head, a few bytes at a time."""
    whole = sent(asked, body_of(asked))
    end = whole.find(b"\r\n\r\n") + 4
    pieces = [whole[at : min(at + 4, end)] for at in range(0, end, 4)]
    return [step for piece in pieces for step in (piece, 0.005)] + [whole[end:]]


def _paid(
    name: str, kind: str, script: Callable[[Asked], Script], allowed: Outcomes = BROKE
) -> Fault:
    return Fault(name=name, kind=kind, allowed=allowed, script=script, is_billed=True)


_EITHER = BROKE | ANSWERED  # as the reader of heads has it; what matters is that it is allowed

HEAD_FAULTS = (
    _paid("reset after the request", "reset after the request", _steps(RESET)),
    _paid("end after the request", "reset after the request", _steps(CLOSE)),
    _paid("reset after a while", "reset after the request", _steps(0.2, RESET)),
    _paid("nothing at all", "header stall", _steps(STALL_SECONDS, CLOSE)),
    _paid("half a head and nothing", "header stall", _half_a_head(STALL_SECONDS)),
    _paid("half a head and an end", "half a head", _half_a_head(CLOSE)),
    _paid("half a head and a reset", "half a head", _half_a_head(RESET)),
    _paid("a head that drips", "slow drip", _drip, ANSWERED),
    _paid("a header of 1 MB", "1 MB header", _in_head("X-Large: " + "x" * MEGABYTE)),
    _paid("headers of 1 MB", "1 MB header", _in_head(*["X-Many: " + "x" * 9_986] * 100), _EITHER),
    _paid("10,000 headers", "1 MB header", _in_head(*["X-Many: x"] * 10_000)),
    _paid("a header in bytes", "odd headers", _in_head(b"X-Odd: \xff\xfe\x00\x01"), _EITHER),
    _paid("a header without a colon", "odd headers", _in_head("X-Odd"), _EITHER),
    _paid("a header over two lines", "odd headers", _in_head("X-Odd: a\r\n b"), _EITHER),
    _paid("headers that we forward", "odd headers",
          _in_head(b"X-RateLimit-Reset: \xffa\x0bb", "X-Request-Id: \u20ac", "Retry-After: soon"),
          _EITHER),
    _paid("two lengths", "wrong length", _instead("Content-Length: 10", "Content-Length: 20")),
    _paid("a negative length", "wrong length", _instead("Content-Length: -1"), _EITHER),
    _paid("a length of words", "wrong length", _instead("Content-Length: many"), _EITHER),
    _paid("no length", "wrong length", _instead("Connection: close"), ANSWERED),
    _paid("a length and chunks", "wrong length",
          _instead("Content-Length: 9", "Transfer-Encoding: chunked")),
    _paid("an unknown coding", "odd headers",
          _instead("Content-Encoding: smoke", "Connection: close"), _EITHER),
    _paid("204", "no answer", _steps(head(status="204 No Content"))),
    _paid("205", "no answer", _steps(head("Content-Length: 0", status="205 Reset Content"))),
    _paid("304", "no answer", _steps(head(status="304 Not Modified"))),
    _paid("101", "no answer", _steps(head("Upgrade: x", status="101 Switching Protocols"), CLOSE)),
    _paid("status 0", "no answer", _steps(head("Content-Length: 0", status="0 No"), CLOSE)),
    _paid("status 999", "no answer", _steps(head("Content-Length: 0", status="999 No"), CLOSE)),
    _paid("status of words", "no answer", _steps(head(status="two hundred"), CLOSE)),
    _paid("continue for ever", "no answer", _steps(head(status="100 Continue") * 9000, CLOSE)),
    _paid("continue, then all", "no answer",
          lambda asked: [head(status="100 Continue"), sent(asked, body_of(asked))], ANSWERED),
    _paid("another protocol", "no answer", _steps(b"SSH-2.0-OpenSSH_9.9\r\n" * 20, CLOSE)),
    _paid("HTTP/0.9", "no answer", lambda asked: [body_of(asked), CLOSE]),
)  # fmt: skip
