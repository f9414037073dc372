"""Lists of files and batches, page by page."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TypeVar

from llm_relay.batch.model.record import Batch, Document, StoredFile
from llm_relay.validation.fields import refuse

_ID = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_DIGITS = re.compile(r"[0-9]{1,9}")


Entry = TypeVar("Entry", Batch, StoredFile)


def is_valid_id(text: str) -> bool:
    """Tell whether a text may be looked up as an id."""
    return bool(_ID.fullmatch(text))


def parse_digits(text: str) -> int | None:
    """Return the number that a text of at most nine digits holds; None for any other text."""
    return int(text) if _DIGITS.fullmatch(text) else None


def parse_limit(query: Mapping[str, str], maximum: int, default: int) -> int:
    """Return the requested number of entries of a page."""
    limit = parse_digits(query.get("limit", str(default)))
    if limit is None or not 1 <= limit <= maximum:
        refuse("limit", f"must be a whole number from 1 to {maximum}.")
    return limit


def parse_after(query: Mapping[str, str], is_known: Callable[[str], bool]) -> str | None:
    """Return the id after which a page begins; BadRequest if no entry can have it."""
    after = query.get("after")
    if after and not (is_valid_id(after) and is_known(after)):
        refuse("after", "must be the id of the last entry of the previous page.")
    return after or None


def paginate(
    read: Callable[[str | None, int], list[Entry]],
    after: str | None,
    limit: int,
    is_listed: Callable[[Entry], bool] = lambda _: True,
) -> Document:
    """Return a page in the form of OpenAI's API; `read` returns entries following an id."""
    found: list[Entry] = []
    while len(found) <= limit:
        count = limit + 1 - len(found)
        entries = read(after, count)
        found += filter(is_listed, entries)
        if len(entries) < count:
            break
        after = entries[-1].id
    shown = found[:limit]
    return {
        "object": "list",
        "data": [entry.document() for entry in shown],
        "first_id": shown[0].id if shown else None,
        "last_id": shown[-1].id if shown else None,
        "has_more": len(found) > limit,
    }
