"""Reads and updates DynamoDB items whose attributes are strings and integers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from llm_relay.aws.dynamodb import Item, Update

    Values: TypeAlias = Mapping[str, str | int]


def string_in(item: Item, name: str) -> str:
    """Return a string of an item, empty if it has none."""
    return str(item.get(name, {}).get("S", ""))


def integer_in(item: Item, name: str) -> int:
    """Return an integer of an item, 0 if it has none."""
    return int(item.get(name, {}).get("N", 0))


def set_expression(names: Iterable[str]) -> str:
    """Return the expression that sets attributes to the values of the same names."""
    return "SET " + ", ".join(f"#{name} = :{name}" for name in names)


def update_item(key: Item, change: str, values: Values, condition: str = "") -> Update:
    """Return an update; its expressions have #name for attributes and :name for values."""
    update: Update = {
        "Key": key,
        "UpdateExpression": change,
        "ExpressionAttributeNames": {
            f"#{name}": name for name in re.findall(r"#(\w+)", f"{change} {condition}")
        },
        "ExpressionAttributeValues": {
            f":{name}": {"S": value} if isinstance(value, str) else {"N": str(value)}
            for name, value in values.items()
        },
    }
    return update | ({"ConditionExpression": condition} if condition else {})
