"""Checks of a request's body, made before the provider is paid."""

from __future__ import annotations

from typing import Any

from llm_relay.documents import parse
from llm_relay.errors import BadRequest


def body_object(text: bytes) -> dict[str, Any]:
    """Return the body's JSON object; BadRequest says what is wrong with it."""
    try:
        document = parse(text)
    except ValueError:
        raise BadRequest(
            "The body is not valid JSON. Send a JSON object with the header "
            "'Content-Type: application/json'."
        ) from None
    if not isinstance(document, dict):
        raise BadRequest('The body must be a JSON object, such as {"model": "..."}.')
    return document


def needs_text(body: dict[str, Any], name: str, advice: str) -> None:
    """Refuse a body in which a field is not a string with something in it."""
    value = body.get(name)
    if not isinstance(value, str) or not value.strip():
        raise BadRequest(f"'{name}' must be a non-empty string. {advice}", param=name)


def may_be_flag(body: dict[str, Any], name: str) -> None:
    """Refuse a body in which a field is neither absent, null, true nor false."""
    if not isinstance(body.get(name), bool | None):
        raise BadRequest(f"'{name}' must be true or false.", param=name)


def may_be_number(body: dict[str, Any], name: str, low: float, high: float) -> None:
    """Refuse a body in which a field is a number out of bounds, or no number at all."""
    value = body.get(name)
    if value is None:
        return
    if type(value) not in (int, float) or not low <= value <= high:
        raise BadRequest(f"'{name}' must be a number from {low:g} to {high:g}.", param=name)


def may_be_count(body: dict[str, Any], name: str) -> None:
    """Refuse a body in which a field is given and is not a whole number of at least 1."""
    value = body.get(name)
    if value is not None and (type(value) is not int or value < 1):
        raise BadRequest(f"'{name}' must be a whole number of at least 1.", param=name)


def may_be_list_of_objects(body: dict[str, Any], name: str) -> None:
    """Refuse a body in which a field is given and is not a list of objects."""
    value = body.get(name)
    if value is None:
        return
    if not isinstance(value, list):
        raise BadRequest(f"'{name}' must be a list.", param=name)
    for index, item in enumerate(value):
        if not isinstance(item, dict):
            raise BadRequest(f"'{name}[{index}]' must be an object.", param=f"{name}[{index}]")
