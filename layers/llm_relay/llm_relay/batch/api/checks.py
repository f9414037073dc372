"""Checks of requests for batches and files."""

from __future__ import annotations

import re

from llm_relay.endpoints.endpoint import endpoint_at
from llm_relay.validation import rules
from llm_relay.validation.fields import Fields, path_to, refuse

_MAX_METADATA_PAIRS = 16
_MAX_KEY_CHARACTERS = 64
_MAX_VALUE_CHARACTERS = 512
_MIN_EXPIRY_SECONDS = 3600
_MAX_EXPIRY_SECONDS = 2_592_000
_SURROGATE = re.compile("[\ud800-\udfff]")


def check_batch(fields: Fields) -> None:
    """Check a request for a batch; BadRequest names the field."""
    input_file_id = rules.text("POST /v1/files returns one.")
    rules.check(fields, {"input_file_id": input_file_id, "endpoint": rules.text()})
    if endpoint_at(fields["endpoint"]) is None:
        refuse("endpoint", "must be '/v1/chat/completions' or '/v1/responses'.")
    if fields.get("completion_window") != "24h":
        refuse("completion_window", "must be '24h'.")
    check_metadata(fields)
    expiry_seconds(fields, "output_expires_after")


def check_metadata(fields: Fields) -> None:
    """Check the number, the types and the lengths of metadata; BadRequest names the field."""
    rules.check(fields, {"metadata": rules.optional(rules.object_with('{"project": "a"}'))})
    metadata = fields.get("metadata") or {}
    if len(metadata) > _MAX_METADATA_PAIRS:
        refuse("metadata", f"must have at most {_MAX_METADATA_PAIRS} pairs.")
    for key, value in metadata.items():
        _refuse_surrogates(key, "metadata")
        if not 0 < len(key) <= _MAX_KEY_CHARACTERS:
            refuse("metadata", f"must have keys of 1 to {_MAX_KEY_CHARACTERS} characters.")
        path = path_to("metadata", key)
        if not isinstance(value, str) or len(value) > _MAX_VALUE_CHARACTERS:
            refuse(path, f"must be a string of at most {_MAX_VALUE_CHARACTERS} characters.")
        _refuse_surrogates(value, path)


def expiry_seconds(fields: Fields, name: str) -> int | None:
    """Return the requested lifetime of a file; None if there is none."""
    expiry = fields.get(name)
    if expiry is None:
        return None
    if not isinstance(expiry, dict) or expiry.get("anchor") != "created_at":
        refuse(name, 'must be an object such as {"anchor": "created_at", "seconds": 86400}.')
    seconds = expiry.get("seconds")
    if type(seconds) is not int or not _MIN_EXPIRY_SECONDS <= seconds <= _MAX_EXPIRY_SECONDS:
        why = f"must be a whole number from {_MIN_EXPIRY_SECONDS} to {_MAX_EXPIRY_SECONDS}."
        refuse(f"{name}.seconds", why)
    return seconds


def _refuse_surrogates(text: str, path: str) -> None:
    # JSON can contain an unpaired surrogate, but DynamoDB cannot store one.
    if half := _SURROGATE.search(text):
        refuse(path, f"contains an unpaired surrogate (\\u{ord(half[0]):04x}). Remove it.")
