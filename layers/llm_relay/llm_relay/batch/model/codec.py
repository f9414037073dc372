"""Records as items of DynamoDB."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, TypeVar

from llm_relay.batch.model.record import Batch, StoredFile
from llm_relay.core.client import Client

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llm_relay.aws.dynamodb import Item

Record = TypeVar("Record", Batch, StoredFile)


def facts_of(record: Batch | StoredFile) -> dict[str, Any]:
    """Return what is to be kept of a record."""
    facts = dataclasses.asdict(record)
    if isinstance(record, Batch):
        models = record.client.models
        facts["client"]["models"] = sorted(models) if models is not None else None
        facts["errors"] = list(record.errors)
    return facts


def record_in(kind: type[Record], item: Item) -> Record:
    """Return the record that an item is of."""
    facts = decoded(item)
    known = {each.name: facts[each.name] for each in dataclasses.fields(kind) if each.name in facts}
    if kind is Batch:
        models = known["client"]["models"]
        known["client"]["models"] = frozenset(models) if models is not None else None
        known["client"] = Client(**known["client"])
        known["errors"] = tuple(known["errors"])
    return kind(**known)


def encoded(values: Mapping[str, Any]) -> Item:
    """Return values as DynamoDB spells them."""
    from boto3.dynamodb.types import TypeSerializer  # noqa: PLC0415 - as late as boto3

    serialize = TypeSerializer().serialize
    return {name: serialize(value) for name, value in values.items()}


def decoded(item: Item) -> dict[str, Any]:
    """Return an item's values; its numbers are whole."""
    from boto3.dynamodb.types import TypeDeserializer  # noqa: PLC0415 - as late as boto3

    deserialize = TypeDeserializer().deserialize
    return {name: _whole(deserialize(value)) for name, value in item.items()}


def _whole(value: Any) -> Any:
    """Return numbers as int, which is all that is kept here, in place of Decimal."""
    from decimal import Decimal  # noqa: PLC0415 - comes with boto3's types

    if isinstance(value, Decimal):
        return int(value)
    if isinstance(value, dict):
        return {name: _whole(each) for name, each in value.items()}
    return [_whole(each) for each in value] if isinstance(value, list) else value
