"""The provider refuses: an error of any form, and nothing is billed."""

from __future__ import annotations

from email.utils import formatdate
from functools import partial
from typing import TYPE_CHECKING

from tests.faults.fault import BROKE, REFUSED, Fault
from tests.faults.provider.wire import ERROR_BODY, JSON, STALL_SECONDS, head, lengthy
from tests.support.scripted_provider import CLOSE, RESET

if TYPE_CHECKING:
    from tests.faults.fault import Asked
    from tests.support.scripted_provider import Script

STATUSES = (
    400,
    402,
    404,
    408,
    409,
    413,
    418,
    422,
    429,
    451,
    499,
    500,
    501,
    502,
    503,
    504,
    529,
    599,
)
REDIRECTS = (300, 301, 302, 303, 304, 305, 307, 308)
NO_ANSWERS = (100, 101, 103, 199)
RETRY_AFTER = {
    "of nothing": "0",
    "in seconds": "1",
    "in fractions": "0.25",
    "below nothing": "-3",
    "for ever": "1e999",
    "of no number": "nan",
    "of words": "soon, I hope",
    "of an hour": "3600",
    "of ages": "9" * 400,
    "in the past": "Wed, 21 Oct 2015 07:28:00 GMT",
    "in a far future": "Fri, 31 Dec 9999 23:59:59 GMT",
    "on no day": "Mon, 99 Foo 2026 25:61:61 GMT",
    "in another alphabet": "٣",
    "left empty": "",
}
_TYPED = f"Content-Type: {JSON}"


def refusal(status: int, *lines: str, body: bytes = ERROR_BODY) -> bytes:
    """A refusal in a frame without fault."""
    return head(_TYPED, lengthy(body), *lines, status=f"{status} No") + body


def _status(_: Asked, status: int) -> Script:
    return [refusal(status)]


def _late(value: str, asked: Asked) -> Script:
    return [refusal(asked.chance.choice((429, 503)), f"Retry-After: {value}")]


def _soon(asked: Asked) -> Script:
    return [refusal(429, f"Retry-After: {formatdate(usegmt=True)}")]


def _redirect(asked: Asked) -> Script:
    """To another path, here and elsewhere: neither may ever be asked."""
    status = asked.chance.choice(REDIRECTS)
    place = asked.chance.choice(("/v1/stolen", "//127.0.0.1:9/v1/stolen", "http://[::1]:9/", ""))
    return [refusal(status, f"Location: {place}")]


def _refused_whole(name: str, kind: str, *steps: bytes | float | str) -> Fault:
    return Fault(name=name, kind=kind, allowed=REFUSED, script=lambda _: list(steps))


def _html(status: int) -> bytes:
    page = b"<html><body><h1>Bad gateway</h1></body></html>"
    return head("Content-Type: text/html", lengthy(page), status=f"{status} No") + page


_HALF = ERROR_BODY[: len(ERROR_BODY) // 2]
_PROMISED = head(_TYPED, lengthy(ERROR_BODY), status="500 No")
_HUGE = b'{"error": {"message": "' + b"n" * 2_000_000 + b'"}}'

REFUSALS = (
    *(
        Fault(name=f"status {status}", kind="error status", allowed=REFUSED,
              script=partial(_status, status=status))
        for status in STATUSES
    ),
    *(
        Fault(name=f"Retry-After {name}", kind="Retry-After", allowed=REFUSED,
              script=partial(_late, value))
        for name, value in RETRY_AFTER.items()
    ),
    Fault(name="Retry-After now", kind="Retry-After", allowed=REFUSED, script=_soon),
    Fault(name="Retry-After in ms", kind="Retry-After", allowed=REFUSED,
          script=lambda _: [refusal(429, "Retry-After-Ms: 15", "Retry-After: 3600")]),
    Fault(name="Retry-After twice", kind="Retry-After", allowed=REFUSED,
          script=lambda _: [refusal(503, "Retry-After: 0", "Retry-After: 7200")]),
    Fault(name="redirect", kind="redirect", allowed=BROKE, script=_redirect),
    _refused_whole("an HTML page with 502", "HTML error", _html(502)),
    _refused_whole("an HTML page with 403", "HTML error", _html(403)),
    _refused_whole("an empty error", "broken error", refusal(500, body=b"")),
    _refused_whole("an error of no shape", "broken error", refusal(400, body=b'{"error": [1]}')),
    _refused_whole("an error of many shapes", "broken error",
                   refusal(400, body=b'{"error": {"message": {"a": 1}}, "detail": 7}')),
    _refused_whole("an error that is no UTF-8", "broken error", refusal(500, body=b"\xff\xfe\x00")),
    _refused_whole("an error of 2 MB", "broken error", refusal(500, body=_HUGE)),
    _refused_whole("half an error", "broken error", _PROMISED + _HALF, CLOSE),
    _refused_whole("half an error, reset", "broken error", _PROMISED + _HALF, RESET),
    _refused_whole("an error that stalls", "broken error", _PROMISED + _HALF, STALL_SECONDS),
    _refused_whole("an error without a body that stalls", "broken error", _PROMISED, STALL_SECONDS),
    _refused_whole("an error with status 200", "error with 200", refusal(200)),
)  # fmt: skip
