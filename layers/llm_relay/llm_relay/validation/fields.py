"""The body of a request, and the error that names an invalid field."""

from __future__ import annotations

import re
from typing import Any, NoReturn, TypeGuard

from llm_relay.core.errors import BadRequest
from llm_relay.core.json_codec import UnsafeJsonError, parse

Fields = dict[str, Any]

# Enough to recognize one's own word or path, too little to return a prompt.
_WORD_CHARACTERS = 40
_PATH_CHARACTERS = 120
# More than any model accepts or generates; the cost of more could not be stored.
MAX_TOKENS = 1_000_000_000
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
    """Raise BadRequest for a value at a path, whose name the reason continues."""
    shown = path if len(path) <= _PATH_CHARACTERS else f"…{path[-_PATH_CHARACTERS:]}"
    raise BadRequest(f"'{shown}' {why}".rstrip(), param=path)


def quote(text: str) -> str:
    """Return the caller's words in quotes, cut to the length that an error may show."""
    quoted = repr(text[:_WORD_CHARACTERS])
    whole = len(text) <= _WORD_CHARACTERS and len(quoted) <= _WORD_CHARACTERS + 2
    return quoted if whole else f"{quoted[:_WORD_CHARACTERS]}…{quoted[0]}"


def path_to(within: str, name: str) -> str:
    """Return the path of a member, in brackets if its name has other than word characters."""
    if not _PLAIN_NAME.fullmatch(name):
        return f"{within}[{quote(name)}]"
    return f"{within}.{name}" if within else name


def is_number(value: Any) -> TypeGuard[float]:
    """Tell whether a value is a number, and not infinity, which JSON can spell 1e999."""
    return type(value) in (int, float) and -float("inf") < value < float("inf")
