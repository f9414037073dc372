"""JSON as it comes over the wire: hostile until parsed."""

from __future__ import annotations

import json
from typing import Any, NoReturn


def parse(text: bytes | str) -> Any:
    """Parse JSON; ValueError for anything that the standard does not allow."""
    try:
        plain = text.decode() if isinstance(text, bytes) else text
        return json.loads(plain, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def parse_object(text: bytes | str) -> dict[str, Any] | None:
    """Parse a JSON object; None for anything else."""
    try:
        document = parse(text)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
