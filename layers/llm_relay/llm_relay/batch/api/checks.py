"""Checks of a request for a batch, before anything is kept of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from llm_relay.batch.api.pagination import expiry_seconds
from llm_relay.endpoints.endpoint import endpoint_at
from llm_relay.validation.fields import may_be_object, needs_text, path_to, refuse

if TYPE_CHECKING:
    from llm_relay.validation.fields import Fields

WINDOW_SECONDS = 86_400
_MOST_PAIRS = 16
_LONGEST_KEY = 64
_LONGEST_VALUE = 512
_HALF = re.compile("[\ud800-\udfff]")


def check_batch(fields: Fields) -> None:
    """Refuse with BadRequest what no batch can be made of."""
    needs_text(fields, "input_file_id", "POST /v1/files returns one.")
    if endpoint_at(needs_text(fields, "endpoint")) is None:
        refuse("endpoint", "must be '/v1/chat/completions' or '/v1/responses'.")
    if fields.get("completion_window") != "24h":
        refuse("completion_window", "must be '24h'.")
    check_metadata(fields)
    expiry_seconds(fields, "output_expires_after")


def check_metadata(fields: Fields) -> None:
    """Refuse with BadRequest notes that are too many, too long, or no texts."""
    metadata = may_be_object(fields, "metadata", '{"project": "a"}') or {}
    if len(metadata) > _MOST_PAIRS:
        refuse("metadata", f"must have {_MOST_PAIRS} pairs at most.")
    for key, value in metadata.items():
        _refuse_half(key, "metadata")
        if not 0 < len(key) <= _LONGEST_KEY:
            refuse("metadata", f"must have keys of 1 to {_LONGEST_KEY} characters.")
        path = path_to("metadata", key)
        if not isinstance(value, str) or len(value) > _LONGEST_VALUE:
            refuse(path, f"must be a string of {_LONGEST_VALUE} characters at most.")
        _refuse_half(value, path)


def _refuse_half(words: str, path: str) -> None:
    """Refuse what cannot be kept: JSON can spell halves of characters, DynamoDB cannot."""
    if half := _HALF.search(words):
        refuse(path, f"holds half a character (\\u{ord(half[0]):04x}): leave it out.")
