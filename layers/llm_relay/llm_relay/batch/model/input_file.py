"""The JSONL file of a batch: its lines, read in constant memory, and its chunks of rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from llm_relay.core.json_codec import compact

if TYPE_CHECKING:
    from _typeshed import SupportsRead

    from llm_relay.aws.s3 import Bucket
    from llm_relay.batch.model.record import Batch

MAX_LINE_BYTES = 8 * 1024 * 1024

_BLOCK_BYTES = 1024 * 1024
_RANGE_BYTES = 4 * 1024 * 1024
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_WHITESPACE = b" \t\r\n"


class InputChanged(Exception):  # noqa: N818 - an event rather than an error
    """The file that was checked was replaced or deleted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line that is not blank."""

    row: int  # counted from 0, without blank lines
    number: int  # counted from 1, with blank lines
    start: int  # byte offset in the file
    end: int  # byte offset in the file, after the line break
    text: bytes  # without the line break; empty if the line is too long
    is_too_long: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """The rows of one worker: bytes `start` to `end` (not included) of the file."""

    number: int
    start: int
    end: int
    first_row: int  # counted from 0 over the whole file, without blank lines
    rows: int

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Chunk:
        """Return the chunk in an entry of the manifest, or in a worker's input."""
        return cls(**{name: int(document[name]) for name in cls.__slots__})


def format_manifest(chunks: Iterable[Chunk]) -> bytes:
    """Return the chunks as a JSON list, the format of Step Functions' ItemReader."""
    return compact([asdict(chunk) for chunk in chunks])


def parse_manifest(text: bytes) -> list[Chunk]:
    """Return the chunks of a manifest."""
    return [Chunk.from_document(each) for each in json.loads(text)]


def read_blocks(source: SupportsRead[bytes]) -> Iterator[bytes]:
    """Return the content of an open file or S3 object in blocks of a megabyte."""
    return iter(lambda: source.read(_BLOCK_BYTES), b"")


def read_lines(blocks: Iterable[bytes], *, start: int = 0, first_row: int = 0) -> Iterator[Line]:
    """Yield the lines of a file, or of the part of it that begins at byte `start`."""
    row, end = first_row, start
    for number, (text, length) in enumerate(_split(blocks), 1):
        begin, end = end, end + length
        if begin == 0 and text.startswith(_BYTE_ORDER_MARK):
            begin, text = len(_BYTE_ORDER_MARK), text[len(_BYTE_ORDER_MARK) :]  # noqa: PLW2901
        is_too_long = length > MAX_LINE_BYTES
        content = b"" if is_too_long else text.strip(_WHITESPACE)
        if content or is_too_long:
            yield Line(
                row=row, number=number, start=begin, end=end, text=content, is_too_long=is_too_long
            )
            row += 1


def read_chunk(bucket: Bucket, batch: Batch, chunk: Chunk) -> Iterator[Line]:
    """Yield the lines of a chunk; raises InputChanged."""
    blocks = (
        bucket.get(batch.input_key, start, min(start + _RANGE_BYTES, chunk.end), batch.input_etag)
        for start in range(chunk.start, chunk.end, _RANGE_BYTES)
    )
    try:
        yield from read_lines(blocks, start=chunk.start, first_row=chunk.first_row)
    except KeyError:
        raise InputChanged from None


def _split(blocks: Iterable[bytes]) -> Iterator[tuple[bytes, int]]:
    """Yield each line with its length including the break; long lines lose their text."""
    rest, dropped = b"", 0
    for block in blocks:
        *lines, rest = (rest + block).split(b"\n")
        for text in lines:
            yield text, dropped + len(text) + 1
            dropped = 0
        if dropped or len(rest) > MAX_LINE_BYTES:
            rest, dropped = b"", dropped + len(rest)
    if rest or dropped:
        yield rest, dropped + len(rest)
