"""Answers to the caller."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llm_relay.core.json_codec import compact

if TYPE_CHECKING:
    from llm_relay.core.errors import RelayError


_MAX_HEADER_CHARACTERS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """A status, headers, and the body's bytes as they come."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Iterable[bytes]


def safe_header_value(text: str) -> str:
    """Return untrusted text without the characters that are unsafe in a header."""
    if text.isascii() and text.isprintable():
        return text[:_MAX_HEADER_CHARACTERS]
    plain = (char if char.isascii() and char.isprintable() else "?" for char in text)
    return "".join(plain)[:_MAX_HEADER_CHARACTERS]


def json_answer(status: int, document: Any, headers: Mapping[str, str]) -> HttpAnswer:
    """Return a buffered JSON answer."""
    headers = {"content-type": "application/json", **headers}
    return HttpAnswer(status=status, headers=headers, body=[compact(document)])


def error_answer(error: RelayError, headers: Mapping[str, str]) -> HttpAnswer:
    """Return a failure in OpenAI's error shape."""
    return json_answer(error.status, error.body(), {**headers, **error.headers()})
