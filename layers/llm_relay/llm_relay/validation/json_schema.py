"""Checks of JSON Schemas: whether they are well formed. Nothing is ever fetched."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from llm_relay.validation.fields import path_to, quote, refuse
from llm_relay.validation.rules import Rule, rule

# Far beyond what a model can follow, and well within Python's own stack.
MAX_LEVELS = 64
_TYPES = ("string", "number", "integer", "boolean", "object", "array", "null")


def check_schema(schema: Any, path: str, level: int = 0) -> None:
    """Refuse a schema that is not well formed; unknown keywords pass."""
    if isinstance(schema, bool):
        return
    if not isinstance(schema, dict):
        refuse(path, 'must be a JSON Schema: an object such as {"type": "string"}.')
    if level > MAX_LEVELS:
        refuse(path, f"is nested deeper than {MAX_LEVELS} levels. Flatten the schema.")
    for keyword, value in schema.items():
        if value is None:
            continue
        if check_value := _RULES.get(keyword):
            check_value(value, path_to(path, keyword))
        elif check := _SUBSCHEMAS.get(keyword):
            check(value, path_to(path, keyword), level + 1)


def _type(value: Any, path: str) -> None:
    names = value if isinstance(value, list) and value else [value]
    for name in names:
        if name not in _TYPES:
            found = f", not {quote(name)}" if isinstance(name, str) else ""
            refuse(path, f"must be one of {', '.join(_TYPES)}, or a list of those{found}.")


def _schemas_by_name(value: Any, path: str, level: int) -> None:
    if not isinstance(value, dict):
        refuse(path, 'must be an object of schemas, such as {"city": {"type": "string"}}.')
    for name, schema in value.items():
        check_schema(schema, path_to(path, name), level)


def _list_of_schemas(value: Any, path: str, level: int) -> None:
    if not isinstance(value, list) or not value:
        refuse(path, "must be a non-empty list of schemas.")
    for index, schema in enumerate(value):
        check_schema(schema, f"{path}[{index}]", level)


def _items(value: Any, path: str, level: int) -> None:
    if not isinstance(value, list):
        check_schema(value, path, level)
    elif value:  # older drafts describe tuples by a list
        _list_of_schemas(value, path, level)


def _required(value: Any, path: str) -> None:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        refuse(path, "must be a list of property names, and stand beside 'properties'.")
    if len(set(value)) < len(value):
        refuse(path, "must name each property once.")


_RULES: Mapping[str, Rule] = {
    "type": _type,
    "required": _required,
    "enum": rule(lambda value: isinstance(value, list), "must be a list of values."),
    "$ref": rule(
        lambda value: isinstance(value, str) and value.startswith("#"),
        "must point into the schema itself, such as '#/$defs/City'.",
    ),
}
_SUBSCHEMAS: Mapping[str, Callable[[Any, str, int], None]] = {
    "items": _items,
    **dict.fromkeys(("properties", "patternProperties", "dependentSchemas"), _schemas_by_name),
    **dict.fromkeys(("$defs", "definitions"), _schemas_by_name),
    **dict.fromkeys(("anyOf", "oneOf", "allOf", "prefixItems"), _list_of_schemas),
    **dict.fromkeys(("additionalProperties", "additionalItems", "propertyNames"), check_schema),
    **dict.fromkeys(("unevaluatedProperties", "unevaluatedItems", "contains"), check_schema),
    **dict.fromkeys(("not", "if", "then", "else"), check_schema),
}
