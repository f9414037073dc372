"""Converts records to DynamoDB items and back."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from llm_relay.batch.model.record import Batch, StoredFile
from llm_relay.core.client import parse_client

if TYPE_CHECKING:
    from llm_relay.aws.dynamodb import Item, Update

Record = TypeVar("Record", Batch, StoredFile)


def record_values(record: Batch | StoredFile) -> dict[str, Any]:
    """Return the attributes that are stored of a record."""
    values = dataclasses.asdict(record)
    if isinstance(record, Batch):
        values["client"] = record.client.document()
    return values


def decode_record(kind: type[Record], item: Item) -> Record:
    """Return the record in an item; attributes that the record does not have are ignored."""
    values = decode_item(item)
    names = {each.name for each in dataclasses.fields(kind)}
    known = {name: value for name, value in values.items() if name in names}
    if kind is Batch:
        known["client"] = parse_client(known["client"])
        known["errors"] = tuple(known["errors"])
    return kind(**known)


def encode_item(values: Mapping[str, Any]) -> Item:
    """Return values as DynamoDB attributes."""
    from boto3.dynamodb.types import TypeSerializer  # noqa: PLC0415 - as late as boto3

    serialize = TypeSerializer().serialize
    return {name: serialize(value) for name, value in values.items()}


def decode_item(item: Item) -> dict[str, Any]:
    """Return the values of DynamoDB attributes; every stored number is an integer."""
    return {name: _decode(attribute) for name, attribute in item.items()}


def build_update(
    key: Item, expression: str, condition: str, values: Mapping[str, Any] | None = None
) -> Update:
    """Return an update; `#name` in its expressions is the attribute `name`."""
    update = {"Key": key, "UpdateExpression": expression, "ConditionExpression": condition}
    names = re.findall(r"#(\w+)", expression + condition)
    update["ExpressionAttributeNames"] = {f"#{name}": name for name in names}
    update["ExpressionAttributeValues"] = encode_item(values or {})
    return update


def _decode(attribute: Mapping[str, Any]) -> Any:
    ((kind, value),) = attribute.items()
    if kind == "N":
        return int(value)
    if kind == "M":
        return decode_item(value)
    if kind == "L":
        return [_decode(each) for each in value]
    return None if kind == "NULL" else value
