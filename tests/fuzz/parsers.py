"""Invariants of the parsers of outside bytes, for any input.

Each function takes any bytes and raises if its claim does not hold. Hypothesis calls them in
`make test`, and the coverage-guided fuzzer in `make fuzz`.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from llm_relay.aws.secrets_manager import secret_error
from llm_relay.batch.api.uploads import parse_form
from llm_relay.batch.model.input_file import read_lines
from llm_relay.batch.model.row_check import RowChecker
from llm_relay.batch.plan.file_check import MAX_REPORTED_ERRORS, check_file
from llm_relay.core.errors import BadRequest, ProviderKeyMissing
from llm_relay.core.json_codec import compact, parse, parse_object
from llm_relay.providers.dialects.dialect import ABLITERATION
from llm_relay.providers.key_pool import keys_in
from llm_relay.providers.provider_error import error_object, error_of
from llm_relay.streaming.chat import ChatNormalizer
from llm_relay.streaming.responses.normalizer import ResponsesNormalizer
from llm_relay.streaming.sse import FrameBuffer, split_frames, without_harmful_lines
from llm_relay.transport.body_reader import BodyFraming, ChunkedFraming, PlainFraming
from llm_relay.validation.fields import body_object
from tests.support.sse_payloads import payloads

if TYPE_CHECKING:
    from collections.abc import Callable

CUTS = 4  # bytes at the front that say where the rest is cut

MANY = 2000


def cut(data: bytes) -> list[bytes]:
    """The bytes in the pieces in which they come."""
    places, rest = data[:CUTS], data[CUTS:]
    edges = sorted({0, len(rest), *(place * len(rest) // 256 for place in places)})
    return [rest[start:end] for start, end in pairwise(edges)]


def letters(data: bytes) -> list[bytes]:
    """The bytes one by one, unless they are many."""
    rest = data[CUTS:]
    size = 1 + len(rest) // MANY
    return [rest[at : at + size] for at in range(0, len(rest), size)]


def frames(data: bytes) -> None:
    """Frames are cut out byte for byte, and the same ones however the bytes come."""
    at_once = FrameBuffer().feed(data[CUTS:])
    for pieces in (cut(data), letters(data)):
        buffer = FrameBuffer()
        passed = b"".join(map(buffer.feed, pieces))
        assert data[CUTS:].startswith(passed)
        assert b"".join(split_frames(passed)) == passed
        assert list(payloads(passed)) == list(payloads(at_once))
        buffer.flush()


def harmless_frames(data: bytes) -> None:
    """What the SDKs choke on is gone, and of the data nothing."""
    came = FrameBuffer().feed(data)
    clean = without_harmful_lines(came)
    lines = clean.replace(b"\r", b"\n").split(b"\n")
    assert [line for line in lines if line.startswith((b"id", b"retry"))] == []
    assert [each for each in payloads(clean) if each.strip()] == [
        each for each in payloads(came) if each.strip()
    ]


def chunks(data: bytes) -> None:
    """A chunked body is the same however its bytes come, until it is over or broken."""
    at_once = framed(ChunkedFraming(), [data[CUTS:]])
    assert framed(ChunkedFraming(), cut(data)) == framed(ChunkedFraming(), letters(data)) == at_once


def lengths(data: bytes) -> None:
    """A body with a length ends there."""
    body, pieces = PlainFraming(length := sum(data[:1])), cut(data)
    content, is_complete = framed(body, pieces)[:2]
    assert content == b"".join(pieces)[:length]
    assert is_complete == (len(b"".join(pieces)) >= length)


def framed(body: BodyFraming, pieces: list[bytes]) -> tuple[bytes, bool, bool]:
    content = b""
    for piece in filter(None, pieces):
        if body.is_complete or body.is_broken:
            break
        content += body.feed(piece)
    return content, body.is_complete, body.is_broken


def chat_stream(data: bytes) -> None:
    """A stream of chat chunks ends, or breaks as its error shows."""
    watched(ChatNormalizer("m", wants_usage=bool(data[:1] > b"\x7f")), data)


def responses_stream(data: bytes) -> None:
    """So does one of Responses events."""
    watched(ResponsesNormalizer({"model": "m"}, ABLITERATION), data)


def watched(stream: Any, data: bytes) -> None:
    buffer = FrameBuffer()
    for piece in [*cut(data), None]:
        came = buffer.flush() if piece is None else buffer.feed(piece)
        for payload in payloads(stream.normalize(without_harmful_lines(came))):
            assert payload.startswith(b"[DONE]") or parse_object(payload) is not None
        if stream.invalid_event:
            return
    stream.closing_frames()


def lines(data: bytes) -> None:
    """Every line of a file is found once, where it says, however the bytes come."""
    pieces = cut(data)
    whole, found = b"".join(pieces), list(read_lines(pieces))
    assert found == list(read_lines([whole]))
    assert [each.row for each in found] == list(range(len(found)))
    assert all(whole[each.start : each.end].strip(b" \t\r\n") == each.text for each in found)
    missed = whole
    for each in reversed(found):
        missed = missed[: each.start] + missed[each.end :]
    assert not missed.removeprefix(b"\xef\xbb\xbf").strip(b" \t\r\n")


def rows(data: bytes) -> None:
    """Every line of a file is a row, or an error that names it."""
    found = list(read_lines([data]))
    seen: list[int] = []
    findings = check_file(found, RowChecker(), on_row=lambda line, _row: seen.append(line.number))
    bad = [error["line"] for error in findings.errors if error["line"] is not None]
    assert findings.rows == len(found) == sum(chunk.rows for chunk in findings.chunks)
    if findings.error_count < MAX_REPORTED_ERRORS:
        assert sorted([*seen, *bad]) == [line.number for line in found]


def form(data: bytes) -> None:
    """A form is one, or refused."""
    head, _, body = data.partition(b"\n")
    for kind in ("multipart/form-data; boundary=b", head.decode("latin-1")):
        with suppress(BadRequest):
            assert parse_form(kind, body).file_name


def body(data: bytes) -> None:
    """A body is a JSON object that can be written again, or refused."""
    with suppress(BadRequest):
        document = body_object(data)
        assert parse(compact(document)) == document


def secret(data: bytes) -> None:
    """A secret has keys that fit into a header, or none."""
    with suppress(ProviderKeyMissing):
        keys = keys_in(data.decode("utf-8", "replace"))
        assert keys
        assert all(key.isascii() and key.isprintable() and key == key.strip() for key in keys)


def word_of_a_failure(data: bytes) -> None:
    """Every failure of AWS or the provider can be reported."""
    assert str(secret_error(400, data))
    error = error_object(data)
    if error:
        shown = error_of(400, error, {}).body()["error"]
        assert isinstance(shown["message"], str)
        assert shown["message"]


PARSERS: dict[str, Callable[[bytes], None]] = {
    each.__name__: each
    for each in (
        frames,
        harmless_frames,
        chunks,
        lengths,
        chat_stream,
        responses_stream,
        lines,
        rows,
        form,
        body,
        secret,
        word_of_a_failure,
    )
}
