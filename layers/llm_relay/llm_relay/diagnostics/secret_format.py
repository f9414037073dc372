"""Checks the format of a provider key secret, without showing any of it."""

from __future__ import annotations

import json
import re
from typing import Any

_ASSIGNMENT = re.compile(r"(export\s+)?[A-Z][A-Z0-9_]+\s*=")


def format_error(text: str) -> str:
    """Return what is wrong with a secret; empty if all of its keys can be sent."""
    if not text.strip():
        return "is empty"
    if not text.lstrip().startswith("{"):
        return _key_error(text)
    try:
        document = json.loads(text)
    except ValueError:
        return "begins like JSON but is not valid JSON"
    keys = document.get("api_keys", [document.get("api_key")])
    if not isinstance(keys, list) or keys in ([], [None]):
        return 'is JSON without "api_key" or a list "api_keys"'
    return next(filter(None, map(_key_error, keys)), "")


def _key_error(value: Any) -> str:
    key = value.strip() if isinstance(value, str) else ""
    errors = {
        "has a key that is empty or not a string": not key,
        "has quotation marks around the key, which would be sent as part of it": bool(
            {*key} & {*"'\"`“”‘’"}
        ),
        "has 'Bearer' before the key, which the relay adds": key.casefold().startswith("bearer "),
        "has a line NAME=value instead of the bare key": bool(_ASSIGNMENT.match(key)),
        "has a line break within the key, so it may hold more than the key": "\n" in key,
        "has white space within the key": any(map(str.isspace, key)),
        "has characters that no key can have": not (key.isascii() and key.isprintable()),
    }
    return next((error for error, is_found in errors.items() if is_found), "")
