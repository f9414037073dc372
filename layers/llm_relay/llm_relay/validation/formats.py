"""Checks of the form that an answer shall have."""

from __future__ import annotations

from llm_relay.validation.fields import (
    Fields,
    may_be_flag,
    may_be_object,
    may_be_string,
    needs_object,
    refuse,
)
from llm_relay.validation.json_schema import check_schema
from llm_relay.validation.tools import check_name

# The last three are extensions of some servers; anything else is a slip of the pen.
_FORMATS = {"text", "json_object", "json_schema", "structural_tag", "grammar", "python"}
_EXAMPLE = '{"type": "json_object"}'
_SCHEMA_EXAMPLE = '{"name": "city", "schema": {"type": "object"}}'


def check_response_format(body: Fields) -> None:
    """Refuse a `response_format` of /v1/chat/completions that is none."""
    path = "response_format"
    form = may_be_object(body, path, _EXAMPLE)
    if form is not None and _wants_schema(form, path):
        holder = needs_object(form, "json_schema", _SCHEMA_EXAMPLE, path)
        _check_named_schema(holder, f"{path}.json_schema")


def check_text_format(body: Fields) -> None:
    """Refuse a `text.format` of /v1/responses that is none."""
    text = may_be_object(body, "text", '{"format": {"type": "text"}}')
    form = may_be_object(text, "format", _EXAMPLE, "text") if text else None
    if form is not None and _wants_schema(form, "text.format"):
        _check_named_schema(form, "text.format")


def _wants_schema(form: Fields, path: str) -> bool:
    kind = form.get("type")
    if not isinstance(kind, str) or kind not in _FORMATS:
        refuse(f"{path}.type", 'must be "text", "json_object" or "json_schema".')
    return kind == "json_schema"


def _check_named_schema(holder: Fields, path: str) -> None:
    check_name(holder, path)
    may_be_string(holder, "description", path)
    may_be_flag(holder, "strict", path)
    schema = needs_object(holder, "schema", '{"type": "object"}', path)
    check_schema(schema, f"{path}.schema")
