"""Parses untrusted JSON, and encodes JSON."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

MAX_DEPTH = 100  # more than any schema or conversation needs, far below Python's recursion limit
_CONTAINERS = (dict, list)
_WHITESPACE = " \t\n\r"
_MAX_DIGITS = 308  # of a double, the only numbers that every JSON parser supports
_TOO_DEEP = f"is nested more than {MAX_DEPTH} levels deep: flatten it"
_TOO_LARGE = "contains a number beyond a 64-bit float, such as 1e999: remove it"


class UnsafeJsonError(ValueError):
    """JSON that parsers may read differently; the message continues after the document's name."""


def parse(text: bytes | str) -> Any:
    """Parse JSON that may be sent on; UnsafeJsonError, or ValueError for invalid JSON."""
    document = _parsed(text, _STRICT)
    if type(document) in _CONTAINERS:
        _check_depth(document)
    return document


def parse_object(text: bytes | str) -> dict[str, Any] | None:
    """Parse a received JSON object, with null for too large numbers; None for anything else."""
    try:
        document = _parsed(text, _LENIENT)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def compact(document: Any) -> bytes:
    """Return a document as JSON on one line, without spaces."""
    return _ENCODER.encode(document).encode()


def _parsed(text: bytes | str, decoder: json.JSONDecoder) -> Any:
    text = (text.decode() if isinstance(text, bytes) else text).strip(_WHITESPACE)
    try:
        document, end = decoder.raw_decode(text)  # takes half the time of decode
    except RecursionError:
        raise UnsafeJsonError(_TOO_DEEP) from None
    if end < len(text):
        raise ValueError("More than one JSON document")
    return document


def _check_depth(document: Any) -> None:
    level = [document]
    for _ in range(MAX_DEPTH):  # one level at a time: no call for each member, and no recursion
        level = [
            member
            for container in level
            for member in (container.values() if type(container) is dict else container)
            if type(member) in _CONTAINERS
        ]
        if not level:
            return
    raise UnsafeJsonError(_TOO_DEEP)


def _named_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise UnsafeJsonError("contains an object with a duplicate key: remove one of them")
    return members


def _finite_or_none(digits: str) -> float | None:
    number = float(digits)
    return number if math.isfinite(number) else None


def _finite(digits: str) -> float:
    number = _finite_or_none(digits)
    if number is None:
        raise UnsafeJsonError(_TOO_LARGE)
    return number


def _bounded_int(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise UnsafeJsonError(_TOO_LARGE)
    return int(digits)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


# Made once: json.loads and json.dumps make one for each call that is not all defaults.
_STRICT = json.JSONDecoder(
    parse_float=_finite,
    parse_int=_bounded_int,
    parse_constant=_no_constant,
    object_pairs_hook=_named_once,
)
_LENIENT = json.JSONDecoder(parse_float=_finite_or_none, parse_constant=_no_constant)
_ENCODER = json.JSONEncoder(separators=(",", ":"))
