"""Converts values to DynamoDB attributes and back, and builds updates of items."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llm_relay.aws.dynamodb import Item, Update


def encode_item(values: Mapping[str, Any]) -> Item:
    """Return values as DynamoDB attributes."""
    from boto3.dynamodb.types import TypeSerializer  # noqa: PLC0415 - as late as boto3

    serialize = TypeSerializer().serialize
    return {name: serialize(value) for name, value in values.items()}


def decode_item(item: Item) -> dict[str, Any]:
    """Return the values of DynamoDB attributes; every stored number is an integer."""
    return {name: _decode(attribute) for name, attribute in item.items()}


def set_expression(paths: Iterable[str]) -> str:
    """Return the expression that sets attributes, or members of maps, to the values of a name."""
    return "SET " + ", ".join(f"#{path.replace('.', '.#')} = {_value_name(path)}" for path in paths)


def build_update(
    key: Item, expression: str, values: Mapping[str, Any], condition: str | None = None
) -> Update:
    """Return an update; its expressions have `#name` for attributes and `:name` for values."""
    update = {
        "Key": key,
        "UpdateExpression": expression,
        "ExpressionAttributeNames": {
            f"#{name}": name for name in re.findall(r"#(\w+)", f"{expression} {condition}")
        },
        "ExpressionAttributeValues": encode_item(
            {_value_name(path): value for path, value in values.items()}
        ),
    }
    return update | ({"ConditionExpression": condition} if condition else {})


def _value_name(path: str) -> str:
    return f":{path.replace('.', '_')}"


def _decode(attribute: Mapping[str, Any]) -> Any:
    ((kind, value),) = attribute.items()
    if kind == "N":
        return int(value)
    if kind == "M":
        return decode_item(value)
    if kind == "L":
        return [_decode(each) for each in value]
    return None if kind == "NULL" else value
