"""JSON as it comes over the wire: hostile until parsed."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable


class NumberTooLargeError(ValueError):
    """A number such as 1e999, which JSON can spell and Python cannot write again."""


def parse(text: bytes | str) -> Any:
    """Parse JSON that may be sent on; NumberTooLargeError, or ValueError for what is no JSON."""
    return _parse(text, _finite)


def parse_object(text: bytes | str) -> dict[str, Any] | None:
    """Parse a JSON object that was received; None for anything else.

    A number too large is null in it: an answer is not lost for one number that nobody can hold.
    """
    try:
        document = _parse(text, _finite_or_none)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _parse(text: bytes | str, number: Callable[[str], float | None]) -> Any:
    try:
        plain = text.decode() if isinstance(text, bytes) else text
        return json.loads(plain, parse_float=number, parse_constant=_no_constant)
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
