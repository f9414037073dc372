"""The lines of a JSONL file, with where each of them lies, in constant memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_LINE_BYTES = 8 * 1024 * 1024

_BLOCK_BYTES = 1024 * 1024
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_BLANKS = b" \t\r\n"


class Readable(Protocol):
    """An open file, or an object of S3 as it comes in."""

    def read(self, size: int, /) -> bytes:
        """Return so many bytes at the most; none at the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line that is not blank."""

    row: int  # counted from 0, blank lines left out
    number: int  # counted from 1, blank lines included
    start: int  # in the file
    end: int  # in the file, after the line break
    text: bytes  # without the line break
    is_too_long: bool = False  # its text is left out then


def read_blocks(source: Readable) -> Iterator[bytes]:
    """Yield what can be read, a megabyte at a time."""
    while block := source.read(_BLOCK_BYTES):
        yield block


def read_lines(
    blocks: Iterable[bytes], *, start: int = 0, first_row: int = 0, first_number: int = 1
) -> Iterator[Line]:
    """Yield the lines of a file, or of the part of it that begins at the byte `start`."""
    row, end = first_row, start
    for number, (text, length) in enumerate(_pieces(blocks), first_number):
        begin, end = end, end + length
        if begin == 0 and text.startswith(_BYTE_ORDER_MARK):
            begin, text = len(_BYTE_ORDER_MARK), text[len(_BYTE_ORDER_MARK) :]  # noqa: PLW2901
        is_too_long = length > MAX_LINE_BYTES
        plain = b"" if is_too_long else text.strip(_BLANKS)
        if plain or is_too_long:
            yield Line(
                row=row, number=number, start=begin, end=end, text=plain, is_too_long=is_too_long
            )
            row += 1


def _pieces(blocks: Iterable[bytes]) -> Iterator[tuple[bytes, int]]:
    """Yield each line and how many bytes it takes with its break; long ones lose their text."""
    held, dropped = b"", 0
    for block in blocks:
        *whole, held = (held + block).split(b"\n")
        for text in whole:
            yield text, dropped + len(text) + 1
            dropped = 0
        if dropped or len(held) > MAX_LINE_BYTES:
            held, dropped = b"", dropped + len(held)
    if held or dropped:
        yield held, dropped + len(held)
