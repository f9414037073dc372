"""JSON Schemas, well formed or not."""

from __future__ import annotations

from typing import Any

import pytest

from llm_relay.core.errors import BadRequest
from llm_relay.validation.json_schema import MAX_LEVELS, check_schema
from tests.unit.validation.bodies import SCHEMA


def nested(levels: int, keyword: str = "not") -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for _ in range(levels):
        schema = {keyword: schema}
    return schema


@pytest.mark.parametrize(
    "schema",
    [
        {},
        True,
        False,
        SCHEMA,
        {"type": ["string", "null"], "default": None, "const": None, "x-of-tomorrow": {"type": 7}},
        {"type": None, "properties": None, "required": None, "items": None},
        {"type": "array", "prefixItems": [{}], "items": False},
        {"type": "array", "items": [{}, True]},
        {"$ref": "#", "definitions": {"A": {"$ref": "#/definitions/A"}}},
        {"properties": {"type": {"type": "string"}, "required": {}, "$ref": {}}},
        {"enum": [], "required": [], "properties": {}},
        {"exclusiveMinimum": True, "nullable": True, "format": "of-tomorrow"},
        nested(MAX_LEVELS),
    ],
)
def test_a_schema_that_is_well_formed_passes(schema: Any) -> None:
    check_schema(schema, "at")


@pytest.mark.parametrize(
    ("schema", "param"),
    [
        (None, "at"),
        ("string", "at"),
        ([], "at"),
        ({"type": "str"}, "at.type"),
        ({"type": []}, "at.type"),
        ({"type": ["string", "any"]}, "at.type"),
        ({"type": {"of": "string"}}, "at.type"),
        ({"properties": []}, "at.properties"),
        ({"properties": ["city"]}, "at.properties"),
        ({"properties": {"city": "string"}}, "at.properties.city"),
        ({"properties": {"city": {"type": "text"}}}, "at.properties.city.type"),
        ({"properties": {"my city": None}}, "at.properties['my city']"),
        ({"required": True}, "at.required"),
        ({"required": "city"}, "at.required"),
        ({"required": [7]}, "at.required"),
        ({"required": ["city", "city"]}, "at.required"),
        ({"items": "string"}, "at.items"),
        ({"items": [{}, {"type": "int"}]}, "at.items[1].type"),
        ({"anyOf": {}}, "at.anyOf"),
        ({"oneOf": []}, "at.oneOf"),
        ({"allOf": [{}, 7]}, "at.allOf[1]"),
        ({"enum": "red"}, "at.enum"),
        ({"additionalProperties": "no"}, "at.additionalProperties"),
        ({"additionalProperties": {"type": "x"}}, "at.additionalProperties.type"),
        ({"$ref": "https://example.com/schema.json"}, "at.$ref"),
        ({"$ref": 7}, "at.$ref"),
        ({"$defs": {"A": {"enum": {}}}}, "at.$defs.A.enum"),
        ({"not": {"if": 7}}, "at.not.if"),
    ],
)
def test_a_fault_in_a_schema_is_refused_at_its_path(schema: Any, param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        check_schema(schema, "at")
    assert caught.value.param == param


@pytest.mark.parametrize("levels", [MAX_LEVELS + 1, 900])
def test_a_schema_nested_too_deeply_is_refused(levels: int) -> None:
    with pytest.raises(BadRequest, match="64 levels"):
        check_schema(nested(levels), "at")


def test_long_names_on_the_way_to_a_fault_do_not_make_a_long_message() -> None:
    schema: Any = {"type": "x" * 1000}
    for _ in range(MAX_LEVELS):
        schema = {"properties": {"y" * 1000: schema}}
    with pytest.raises(BadRequest) as caught:
        check_schema(schema, "at")
    assert len(caught.value.message) < 400
