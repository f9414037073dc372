"""Reads fields of JSON objects, with defaults for missing and invalid ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Document = dict[str, Any]


def with_defaults(defaults: Document, given: Document) -> Document:
    """Return a copy with defaults for missing and null fields; the document itself if complete."""
    for name, value in defaults.items():
        if given.get(name) is None and (value is not None or name not in given):
            return defaults | {n: v for n, v in given.items() if v is not None or n not in defaults}
    return given


def object_in(document: Mapping[str, Any], name: str) -> Document:
    """Return the object in a field, or else an empty one."""
    value = document.get(name)
    return value if isinstance(value, dict) else {}


def objects_in(document: Document, name: str) -> list[Document]:
    """Return the objects in a field's list, or else none."""
    value = document.get(name)
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def text_in(document: Document, name: str) -> str:
    """Return the string in a field, or else an empty one."""
    value = document.get(name)
    return value if isinstance(value, str) else ""
