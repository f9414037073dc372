"""Checks of a request's body, made before the provider is paid. Null means absent everywhere."""

from __future__ import annotations

import re
from typing import Any, NoReturn, TypeGuard

from llm_relay.core.errors import BadRequest
from llm_relay.core.json_codec import UnsafeJsonError, parse

Fields = dict[str, Any]

# Enough to recognise one's own word or path by, too little to hand a prompt back.
_WORD_CHARACTERS = 40
_PATH_CHARACTERS = 120
# No model takes or writes so many, and what more of them cost could not be written down.
MOST_TOKENS = 1_000_000_000
_PLAIN_NAME = re.compile(rf"[A-Za-z0-9_$-]{{1,{_WORD_CHARACTERS}}}")


def body_object(text: bytes) -> dict[str, Any]:
    """Return the body's JSON object; BadRequest says what is wrong with it."""
    try:
        document = parse(text)
    except UnsafeJsonError as error:
        raise BadRequest(f"The body {error}.") from None
    except ValueError:
        raise BadRequest(
            "The body is not valid JSON. Send a JSON object with the header "
            "'Content-Type: application/json'."
        ) from None
    if not isinstance(document, dict):
        raise BadRequest('The body must be a JSON object, such as {"model": "..."}.')
    return document


def refuse(path: str, why: str) -> NoReturn:
    """Raise BadRequest for what stands at a path; the reason goes on from the path's name."""
    shown = path if len(path) <= _PATH_CHARACTERS else f"…{path[-_PATH_CHARACTERS:]}"
    raise BadRequest(f"'{shown}' {why}".rstrip(), param=path)


def short(text: str) -> str:
    """Return the caller's own words in quotes, cut to what an error may show of them."""
    quoted = repr(text[:_WORD_CHARACTERS])
    whole = len(text) <= _WORD_CHARACTERS and len(quoted) <= _WORD_CHARACTERS + 2
    return quoted if whole else f"{quoted[:_WORD_CHARACTERS]}…{quoted[0]}"


def path_to(within: str, name: str) -> str:
    """Return the path of a member; a name that is no plain word stands in brackets."""
    if not _PLAIN_NAME.fullmatch(name):
        return f"{within}[{short(name)}]"
    return f"{within}.{name}" if within else name


def needs_text(fields: Fields, name: str, advice: str = "", within: str = "") -> str:
    """Return a string with something in it; refuse anything else."""
    value = fields.get(name)
    if not isinstance(value, str) or not value.strip():
        refuse(path_to(within, name), f"must be a non-empty string. {advice}")
    return value


def needs_string(fields: Fields, name: str, advice: str = "", within: str = "") -> str:
    """Return a string, which may be empty; refuse anything else."""
    value = fields.get(name)
    if not isinstance(value, str):
        refuse(path_to(within, name), f"must be a string. {advice}")
    return value


def needs_object(fields: Fields, name: str, example: str, within: str = "") -> Fields:
    """Return an object; refuse anything else."""
    value = fields.get(name)
    if not isinstance(value, dict):
        refuse(path_to(within, name), f"must be an object such as {example}.")
    return value


def may_be_string(fields: Fields, name: str, within: str = "") -> None:
    """Refuse a field that is given and is not a string."""
    if fields.get(name) is not None:
        needs_string(fields, name, within=within)


def may_be_object(fields: Fields, name: str, example: str, within: str = "") -> Fields | None:
    """Return an object, or None where there is none; refuse anything else."""
    return None if fields.get(name) is None else needs_object(fields, name, example, within)


def may_be_flag(fields: Fields, name: str, within: str = "") -> None:
    """Refuse a field that is given and is neither true nor false."""
    if not isinstance(fields.get(name), bool | None):
        refuse(path_to(within, name), "must be true or false.")


def is_number(value: Any) -> TypeGuard[float]:
    """Tell whether a value is a number, and not infinity, which JSON can spell 1e999."""
    return type(value) in (int, float) and -float("inf") < value < float("inf")


def may_be_number(fields: Fields, name: str, low: float, high: float) -> None:
    """Refuse a field that is given and is no number from low to high."""
    value = fields.get(name)
    if value is not None and not (is_number(value) and low <= value <= high):
        refuse(name, f"must be a number from {low:g} to {high:g}.")


def may_be_whole(fields: Fields, name: str, low: int, high: int) -> None:
    """Refuse a field that is given and is no whole number from low to high."""
    value = fields.get(name)
    if value is not None and not (type(value) is int and low <= value <= high):
        refuse(name, f"must be a whole number from {low} to {high}.")


def may_be_list_of_objects(fields: Fields, name: str, within: str = "") -> list[tuple[str, Fields]]:
    """Return the objects of a list, each with its path; refuse any other list."""
    value, path = fields.get(name), path_to(within, name)
    if value is None:
        return []
    if not isinstance(value, list):
        refuse(path, "must be a list.")
    for index, item in enumerate(value):
        if not isinstance(item, dict):
            refuse(f"{path}[{index}]", "must be an object.")
    return [(f"{path}[{index}]", item) for index, item in enumerate(value)]
