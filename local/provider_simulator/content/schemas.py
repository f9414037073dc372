"""Generate deterministic values for JSON Schemas."""

from typing import Any

from local.provider_simulator.wire import Json, ProviderError

MAX_DEPTH = 12
MAX_SIZE = 1000
TEXT_FORMATS = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "time": "12:00:00Z",
    "email": "someone@example.com",
    "uri": "https://example.com",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
KEYWORDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("$ref", "format"), (str,)),
    **dict.fromkeys(("anyOf", "oneOf", "allOf", "enum"), (list,)),
    **dict.fromkeys(("minItems", "minLength", "maxLength"), (int,)),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum"), (int, float)),
    "items": (dict, bool),
    "properties": (dict,),
    "type": (str, list),
}


def instance(schema: Any, root: Json | None = None, depth: int = 0) -> Any:
    """Return a value for a schema, null below `MAX_DEPTH`; raise 400 for an invalid schema."""
    schema = {} if schema is True else schema
    _check(schema)
    root = schema if root is None else root
    if depth > MAX_DEPTH:
        return None
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    if schema.get("enum"):
        return schema["enum"][0]
    resolved = _resolve(schema, root)
    return _typed(schema, root, depth) if resolved is None else instance(resolved, root, depth + 1)


def _check(schema: Any) -> None:
    if not isinstance(schema, dict):
        raise ProviderError(400, "Invalid JSON schema: a schema must be an object.")
    for name, types in KEYWORDS.items():
        if name in schema and not isinstance(schema[name], types):
            raise ProviderError(400, f"Invalid JSON schema: '{name}' has a wrong type.")


def _resolve(schema: Json, root: Json) -> Any:
    if "$ref" in schema:
        found: Any = root
        for name in filter(None, schema["$ref"].lstrip("#").split("/")):
            found = found.get(name, {}) if isinstance(found, dict) else {}
        return found
    options = next((schema[key] for key in ("anyOf", "oneOf", "allOf") if schema.get(key)), [None])
    return options[0]


def _typed(schema: Json, root: Json, depth: int) -> Any:
    kind = schema.get("type") or ("object" if "properties" in schema else "string")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        properties = schema.get("properties", {})
        return {name: instance(part, root, depth + 1) for name, part in properties.items()}
    if kind == "array":
        item = instance(schema.get("items") or {}, root, depth + 1)
        return [item] * min(max(1, schema.get("minItems", 1)), MAX_SIZE)
    if kind in ("integer", "number"):
        lowest = schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1)
        return min(lowest, schema.get("maximum", lowest))
    if kind in ("boolean", "null"):
        return True if kind == "boolean" else None
    text = TEXT_FORMATS.get(schema.get("format", ""), "example")
    return text.ljust(min(schema.get("minLength", 0), MAX_SIZE), ".")[: schema.get("maxLength")]
