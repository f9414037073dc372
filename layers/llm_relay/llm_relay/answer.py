"""What goes back to the caller."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from llm_relay.errors import RelayError


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A status, headers, and the body's bytes as they come."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Iterable[bytes]


def json_answer(status: int, document: Any, headers: Mapping[str, str]) -> Answer:
    """Return a whole JSON answer."""
    body = json.dumps(document, separators=(",", ":")).encode()
    return Answer(
        status=status, headers={"content-type": "application/json", **headers}, body=[body]
    )


def error_answer(error: RelayError, headers: Mapping[str, str]) -> Answer:
    """Return a failure in OpenAI's error shape."""
    return json_answer(error.status, error.body(), {**headers, **error.headers()})
