"""The answer breaks on its way: it may have been billed, and is never retried."""

from __future__ import annotations

import gzip
import zlib
from typing import TYPE_CHECKING

from tests.faults.fault import ANSWERED, BROKE_OR_CUT, FORMS, WHOLE, Fault
from tests.faults.provider.faulty_provider import answer
from tests.faults.provider.wire import STALL_SECONDS, body_of, chunked, head, sent, typed
from tests.support.scripted_provider import CLOSE, RESET

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.fault import Asked, Form, Outcomes
    from tests.support.scripted_provider import Script

MEGABYTE = 1 << 20
CLOSED = "Connection: close"


def _cut(asked: Asked) -> Script:
    """Cut anywhere, politely or not, in any framing."""
    body = body_of(asked)
    kept = body[: asked.chance.randrange(len(body))]
    whole = asked.chance.choice((sent(asked, body), chunked(asked, body)))
    start = whole.find(body)
    return [whole[: start + len(kept)], asked.chance.choice((CLOSE, RESET))]


def _stall(asked: Asked) -> Script:
    whole = sent(asked, body_of(asked))
    at = asked.chance.randrange(whole.find(b"\r\n\r\n") + 4, len(whole))
    return [whole[:at], STALL_SECONDS, whole[at:]]


def _drip(asked: Asked) -> Script:
    """All of it, a few bytes at a time."""
    whole = sent(asked, body_of(asked))
    size = -(-len(whole) // 40)
    return [step for at in range(0, len(whole), size) for step in (whole[at : at + size], 0.01)]


def _packed(asked: Asked) -> Script:
    return [sent(asked, gzip.compress(body_of(asked)), "Content-Encoding: gzip")]


def _bomb(asked: Asked) -> Script:
    """100 MB of blanks in 100 KB."""
    packer = zlib.compressobj(wbits=31)
    body = b"".join(packer.compress(b" " * MEGABYTE) for _ in range(100)) + packer.flush()
    return [sent(asked, body, "Content-Encoding: gzip")]


def _half_packed(asked: Asked) -> Script:
    body = gzip.compress(body_of(asked))
    return [sent(asked, body[: len(body) // 2], "Content-Encoding: gzip")]


def _not_packed(asked: Asked) -> Script:
    return [sent(asked, body_of(asked), "Content-Encoding: gzip")]


def _endless(asked: Asked) -> Script:
    """100 MB."""
    return [head(typed(asked), f"Content-Length: {100 * MEGABYTE}"), *[b"x" * MEGABYTE] * 100]


def _chunks(*said: bytes) -> Callable[[Asked], Script]:
    """The first half in a valid chunk, then this."""

    def script(asked: Asked) -> Script:
        body = body_of(asked)
        return [chunked(asked, body[: len(body) // 2]) + b"".join(said), CLOSE]

    return script


def _long(by: int) -> Callable[[Asked], Script]:
    def script(asked: Asked) -> Script:
        body = body_of(asked)
        length = max(9, len(body) + by)
        return [head(typed(asked), f"Content-Length: {length}") + body, CLOSE]

    return script


def _says(body: bytes) -> Callable[[Asked], Script]:
    return lambda asked: [sent(asked, body)]


def _altered(alter: Callable[[bytes], bytes]) -> Callable[[Asked], Script]:
    return lambda asked: [sent(asked, alter(body_of(asked)))]


def _paid(
    name: str,
    kind: str,
    script: Callable[[Asked], Script],
    allowed: Outcomes = BROKE_OR_CUT,
    forms: tuple[Form, ...] = FORMS,
) -> Fault:
    return Fault(name=name, kind=kind, allowed=allowed, script=script, forms=forms, is_billed=True)


BODY_FAULTS = (
    _paid("none", "none", answer, ANSWERED),
    _paid("cut somewhere", "cut", _cut, BROKE_OR_CUT | ANSWERED),
    _paid("stall in the body", "body stall", _stall, BROKE_OR_CUT | ANSWERED),
    _paid("slow drip", "slow drip", _drip, ANSWERED),
    _paid("gzip", "gzip unasked", _packed, ANSWERED),
    _paid("half of a gzip", "gzip unasked", _half_packed, BROKE_OR_CUT | ANSWERED),
    _paid("no gzip", "gzip unasked", _not_packed),
    _paid("a gzip bomb", "gzip unasked", _bomb),
    _paid("100 MB", "100 MB body", _endless),
    _paid("a chunk without end", "chunked lies", _chunks(b"ffffff\r\n{")),
    _paid("a chunk of no size", "chunked lies", _chunks(b"\r\n\r\n")),
    _paid("a chunk of less than nothing", "chunked lies", _chunks(b"-5\r\nabcde\r\n0\r\n\r\n")),
    _paid("a chunk of words", "chunked lies", _chunks(b"many\r\nbytes\r\n")),
    _paid("a chunk longer than declared", "chunked lies", _chunks(b"2\r\nabcdefg\r\n0\r\n\r\n")),
    _paid("a chunk beyond all bounds", "chunked lies", _chunks(b"f" * 40 + b"\r\nabc")),
    _paid("a chunk size of 1 MB", "chunked lies", _chunks(b"0" * MEGABYTE + b"5\r\nabcde\r\n")),
    _paid("the end too early", "chunked lies", _chunks(b"0\r\n\r\n")),
    _paid("a length too long", "wrong length", _long(100), BROKE_OR_CUT | ANSWERED),
    _paid("a length too short", "wrong length", _long(-800)),
    _paid("no answer but a page", "malformed", _says(b"<html>Welcome</html>")),
    _paid("an empty body", "malformed", _says(b"")),
    _paid("a list", "malformed", _says(b"[1, 2]"), forms=WHOLE),
    _paid("a deep nest", "malformed", _says(b'{"choices":' + b"[" * 200_000), forms=WHOLE),
    _paid("a number of 5,000 digits", "malformed", _says(b'{"id": ' + b"9" * 5000 + b"}"),
          forms=WHOLE),
    _paid("not a number", "malformed", _says(b'{"choices": [], "usage": NaN}'), forms=WHOLE),
    _paid("no UTF-8", "invalid UTF-8",
          _altered(lambda body: body.replace(b"answer", b"answ\xff\xfe"))),
    _paid("UTF-16", "invalid UTF-8", _altered(lambda body: body.decode().encode("utf-16"))),
    _paid("a byte order mark", "invalid UTF-8", _altered(lambda body: b"\xef\xbb\xbf" + body),
          BROKE_OR_CUT | ANSWERED),
)  # fmt: skip
