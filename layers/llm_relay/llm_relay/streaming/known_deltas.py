"""Deltas that differ from one that was parsed in nothing but their text and their number."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_relay.streaming.normalizer import TEXT, VARYING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llm_relay.streaming.responses.items import Text

_DELTA = re.compile(rb'"delta": ?"(' + TEXT + rb')"')
_NUMBER = re.compile(rb'"sequence_number": ?(\d+)')


@dataclass(frozen=True, slots=True)
class KnownDelta:
    """What is known of all deltas of one shape."""

    text: Text  # which they are pieces of
    form: bytes | None  # of what to put in their place; None if they pass as they are

    def pieces(self, frames: bytes) -> list[bytes]:
        """Return the pieces of the text, as they stand in JSON."""
        return _DELTA.findall(frames)

    def numbers(self, frames: bytes) -> list[int]:
        """Return the numbers that the provider gave to the deltas."""
        return [int(number) for number in _NUMBER.findall(frames)]

    def passed(self, frames: bytes, pieces: Sequence[bytes], numbers: Sequence[int]) -> bytes:
        """Return the deltas as they should be."""
        if self.form is None:
            return frames
        fields = zip(pieces, numbers, strict=True)
        return b"".join([self.form % {b"piece": piece, b"number": n} for piece, n in fields])


def known_delta(text: Text, frame: bytes, passed: bytes, *, counts_anew: bool) -> KnownDelta | None:
    """Return what a delta and the frame that it became tell of others; None if that is nothing."""
    # Another may be hidden in a field that nobody knows, and an insertion has its own number.
    if not (_has_one(_DELTA, frame) and _has_one(_NUMBER, passed)):
        return None
    if passed is frame and not counts_anew:
        return KnownDelta(text, None)
    if len(VARYING.findall(frame)) > 1 + len(_NUMBER.findall(frame)):
        return None  # more varies than what the form has a place for
    form = _DELTA.sub(b'"delta":"%(piece)b"', passed.replace(b"%", b"%%"))
    return KnownDelta(text, _NUMBER.sub(b'"sequence_number":%(number)d', form))


def _has_one(pattern: re.Pattern[bytes], frame: bytes) -> bool:
    return len(pattern.findall(frame)) == 1
