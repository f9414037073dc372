"""Removes the provider's key from what the provider reports of a failure: some quote it."""

from __future__ import annotations

from typing import Any

_MAX_DEPTH = 32  # what is nested deeper is left out


def redact(value: Any, key: str, max_depth: int = _MAX_DEPTH) -> Any:
    """Return parsed JSON without the key in any of its strings."""
    if not key:
        return value
    if isinstance(value, str):
        return value.replace(key, "[key]")
    if isinstance(value, dict | list) and not max_depth:
        return None
    if isinstance(value, dict):
        items = value.items()
        return {redact(name, key): redact(each, key, max_depth - 1) for name, each in items}
    return (
        [redact(each, key, max_depth - 1) for each in value] if isinstance(value, list) else value
    )
