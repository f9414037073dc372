"""What a document from outside says, and what stands where it says nothing."""

from __future__ import annotations

from typing import Any

Document = dict[str, Any]


def with_defaults(defaults: Document, given: Document) -> Document:
    """Return what is given, and the defaults for what is missing or null."""
    document = defaults | given
    for name, value in defaults.items():
        if document[name] is None:
            document[name] = value
    return document


def object_in(document: Document, name: str) -> Document:
    """Return an object within a document; an empty one if there is none."""
    value = document.get(name)
    return value if isinstance(value, dict) else {}


def objects_in(document: Document, name: str) -> list[Document]:
    """Return the objects of a list within a document, which is empty if there is none."""
    value = document.get(name)
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def text_in(document: Document, name: str) -> str:
    """Return a text within a document; an empty one if there is none."""
    value = document.get(name)
    return value if isinstance(value, str) else ""
