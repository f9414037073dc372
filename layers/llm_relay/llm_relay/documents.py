"""JSON as it comes over the wire: hostile until parsed."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn


class NumberTooLargeError(ValueError):
    """A number such as 1e999, which JSON can spell and Python cannot write again."""


def parse(text: bytes | str) -> Any:
    """Parse JSON that may be sent on; NumberTooLargeError, or ValueError for what is no JSON."""
    return _parsed(text, _STRICT)


def parse_object(text: bytes | str) -> dict[str, Any] | None:
    """Parse a JSON object that was received; None for anything else.

    A number too large is null in it: an answer is not lost for one number that nobody can hold.
    """
    try:
        document = _parsed(text, _LENIENT)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def compact(document: Any) -> bytes:
    """Return a document as JSON on one line, without a blank to spare."""
    return _ENCODER.encode(document).encode()


def _parsed(text: bytes | str, decoder: json.JSONDecoder) -> Any:
    try:
        return decoder.decode(text.decode() if isinstance(text, bytes) else text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _finite_or_none(digits: str) -> float | None:
    number = float(digits)
    return number if math.isfinite(number) else None


def _finite(digits: str) -> float:
    number = _finite_or_none(digits)
    if number is None:
        raise NumberTooLargeError("a number too large")
    return number


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


# Made once: json.loads and json.dumps make one for each call that is not all defaults.
_STRICT = json.JSONDecoder(parse_float=_finite, parse_constant=_no_constant)
_LENIENT = json.JSONDecoder(parse_float=_finite_or_none, parse_constant=_no_constant)
_ENCODER = json.JSONEncoder(separators=(",", ":"))
