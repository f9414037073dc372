"""Lists, page by page, and the fields that files and batches have in common."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from llm_relay.validation.fields import refuse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# What results and files may ask to be kept, in seconds.
SHORTEST_SECONDS = 3600
LONGEST_SECONDS = 2_592_000

_ID = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_DIGITS = re.compile(r"[0-9]{1,9}")

Document = dict[str, Any]


class Listed(Protocol):
    """What can stand in a list."""

    @property
    def id(self) -> str:
        """What a page goes on after."""

    def document(self) -> Document:
        """Return it as OpenAI's API shows it."""


AnyListed = TypeVar("AnyListed", bound=Listed)


def is_valid_id(text: str) -> bool:
    """Tell whether a text could be an id; others are not fit to be looked for."""
    return bool(_ID.fullmatch(text))


def parse_digits(text: str) -> int | None:
    """Return the number that a text is, if it is one in plain digits."""
    return int(text) if _DIGITS.fullmatch(text) else None


def parse_limit(query: Mapping[str, str], most: int, default: int) -> int:
    """Return how many entries a page is to have."""
    limit = parse_digits(query.get("limit", str(default)))
    if limit is None or not 1 <= limit <= most:
        refuse("limit", f"must be a whole number from 1 to {most}.")
    return limit


def parse_after(query: Mapping[str, str], is_known: Callable[[str], bool]) -> str | None:
    """Return the id that a page goes on after; BadRequest for one that no entry can have had."""
    after = query.get("after")
    if after and not (is_valid_id(after) and is_known(after)):
        refuse("after", "must be the id of the last entry of the page before.")
    return after or None


def paginate(
    read: Callable[[str | None, int], list[AnyListed]],
    after: str | None,
    limit: int,
    is_wanted: Callable[[AnyListed], bool] = lambda _: True,
) -> Document:
    """Return a page of a list, as OpenAI's API shows it; `read` gives entries after an id."""
    found: list[AnyListed] = []
    while len(found) <= limit:
        asked = limit + 1 - len(found)
        entries = read(after, asked)
        found += filter(is_wanted, entries)
        if len(entries) < asked:
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


def expiry_seconds(fields: Mapping[str, Any], name: str) -> int | None:
    """Return how long something is to be kept; None if that is not said."""
    expiry = fields.get(name)
    if expiry is None:
        return None
    if not isinstance(expiry, dict) or expiry.get("anchor") != "created_at":
        refuse(name, 'must be an object such as {"anchor": "created_at", "seconds": 86400}.')
    seconds = expiry.get("seconds")
    if type(seconds) is not int or not SHORTEST_SECONDS <= seconds <= LONGEST_SECONDS:
        refuse(
            f"{name}.seconds",
            f"must be a whole number from {SHORTEST_SECONDS} to {LONGEST_SECONDS}.",
        )
    return seconds
