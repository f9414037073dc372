"""The provider's key, kept out of what the provider says of a failure: some quote it."""

from __future__ import annotations

from typing import Any

_DEEPEST = 32  # what is nested deeper is left out: nobody reads it in an error


def redacted(value: Any, key: str, levels: int = _DEEPEST) -> Any:
    """Return parsed JSON without the key in any of its texts."""
    if not key:
        return value
    if isinstance(value, str):
        return value.replace(key, "[key]")
    if isinstance(value, dict | list) and not levels:
        return None
    if isinstance(value, dict):
        items = value.items()
        return {redacted(name, key): redacted(each, key, levels - 1) for name, each in items}
    return [redacted(each, key, levels - 1) for each in value] if isinstance(value, list) else value
