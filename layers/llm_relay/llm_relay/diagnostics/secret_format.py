"""What a secret may hold in place of a provider key, told without showing any of it."""

from __future__ import annotations

import json
import re
from typing import Any

_SETTING = re.compile(r"(export\s+)?[A-Z][A-Z0-9_]+\s*=")


def format_error(text: str) -> str:
    """Return what is wrong with the form of a secret; nothing if all of its keys can be sent."""
    if not text.strip():
        return "is empty"
    if not text.lstrip().startswith("{"):
        return _fault_of_key(text)
    try:
        document = json.loads(text)
    except ValueError:
        return "begins like JSON and is none"
    keys = document.get("api_keys", [document.get("api_key")])
    if not isinstance(keys, list) or keys in ([], [None]):
        return 'is JSON without "api_key" or a list "api_keys"'
    return next(filter(None, map(_fault_of_key, keys)), "")


def _fault_of_key(value: Any) -> str:
    key = value.strip() if isinstance(value, str) else ""
    faults = {
        "holds a key that is empty or no text": not key,
        "holds quotation marks around the key, which are sent along": bool({*key} & {*"'\"`“”‘’"}),
        "holds 'Bearer' before the key, which the relay itself puts there": (
            key.casefold().startswith("bearer ")
        ),
        "holds a line NAME=value in place of the bare key": bool(_SETTING.match(key)),
        "holds a line break within the key, so it may be more than the key": "\n" in key,
        "holds white space within the key": any(map(str.isspace, key)),
        "holds characters that no key can have": not (key.isascii() and key.isprintable()),
    }
    return next((fault for fault, is_so in faults.items() if is_so), "")
