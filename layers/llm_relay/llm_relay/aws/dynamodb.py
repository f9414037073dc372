"""DynamoDB: the client, and tables whose updates retry conflicts with transactions."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from llm_relay.aws.boto3_client import boto3_client

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

Item = dict[str, Any]
Update = dict[str, Any]

# Updates of one item conflict with transactions on it; the pauses grow and spread them out.
_MAX_ATTEMPTS = 16
_FIRST_PAUSE_SECONDS = 0.02
_MAX_PAUSE_SECONDS = 0.5
_CONFLICTS = {
    "ProvisionedThroughputExceeded",
    "ThrottlingError",
    "TransactionConflict",
    "TransactionConflictException",
    "TransactionInProgressException",
}
_CONDITION_FAILED = {"ConditionalCheckFailed", "ConditionalCheckFailedException"}


@lru_cache(maxsize=1)
def dynamodb() -> Any:
    """Return the client of this environment, made on first use."""
    retries = {"mode": "standard", "total_max_attempts": 3}
    return boto3_client(
        "dynamodb", connect_timeout=1, read_timeout=2, retries=retries, max_pool_connections=50
    )


class Table:
    """One table; `client` makes DynamoDB's client."""

    def __init__(self, name: str, client: Callable[[], Any] = dynamodb) -> None:
        self._name = name
        self._client = client

    def update(self, update: Update) -> tuple[bool, Item | None]:
        """Return whether the condition was met, and the current item; None if there is none."""
        request = update | {
            "TableName": self._name,
            "ReturnValues": "ALL_NEW",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        answer, item = _conditional(lambda: self._client().update_item(**request))
        return (True, answer["Attributes"]) if answer else (False, item)

    def transact(self, updates: list[Update]) -> bool:
        """Make all updates or none; return whether their conditions were met."""
        requests = [{"Update": update | {"TableName": self._name}} for update in updates]
        answer, _ = _conditional(
            lambda: self._client().transact_write_items(TransactItems=requests)
        )
        return answer is not None

    def get(self, key: Item) -> Item | None:
        """Return the current item; None if there is none."""
        answer = self._client().get_item(TableName=self._name, Key=key, ConsistentRead=True)
        item: Item | None = answer.get("Item")
        return item

    def delete(self, key: Item) -> None:
        """Delete an item, if there is one."""
        self._client().delete_item(TableName=self._name, Key=key)

    def page(self, pk: str, after: str | None, limit: int, *, forward: bool) -> list[Item]:
        """Return up to `limit` items of a partition key, in order, after the sort key `after`."""
        start = {"pk": {"S": pk}, "sk": {"S": after}} if after else None
        pages = self._query(
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": pk}},
            ScanIndexForward=forward,
            PaginationConfig={"MaxItems": limit, "PageSize": limit},
            **({"ExclusiveStartKey": start} if start else {}),
        )
        items: list[Item] = pages.build_full_result()["Items"]
        return items

    def iterate_from(self, pk: str, first: str) -> Iterator[Item]:
        """Yield the items of a partition key, in order, from a sort key on."""
        pages = self._query(
            KeyConditionExpression="pk = :pk AND sk >= :first",
            ExpressionAttributeValues={":pk": {"S": pk}, ":first": {"S": first}},
        )
        for page in pages:
            yield from page["Items"]

    def _query(self, **query: Any) -> Any:
        paginator = self._client().get_paginator("query")  # one query returns at most a megabyte
        return paginator.paginate(TableName=self._name, ConsistentRead=True, **query)


def _conditional(request: Callable[[], Item]) -> tuple[Item | None, Item | None]:
    """Return the answer, or the item whose condition was not met, if there is one."""
    from botocore.exceptions import ClientError  # noqa: PLC0415 - as late as boto3

    attempt = 0
    while True:
        try:
            return request(), None
        except ClientError as error:
            codes = _codes(error)
            if codes & _CONDITION_FAILED:
                response: Item = dict(error.response)
                return None, response.get("Item")
            attempt += 1
            if attempt == _MAX_ATTEMPTS or not codes & _CONFLICTS:
                raise
        pause = min(_MAX_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2 ** (attempt - 1))
        time.sleep(random.uniform(0, pause))  # noqa: S311 - spreads callers, guards nothing


def _codes(error: ClientError) -> set[str]:
    """Return the codes of an error and of the reasons for which a transaction was cancelled."""
    response: dict[str, Any] = dict(error.response)
    failures = [response.get("Error", {}), *response.get("CancellationReasons", [])]
    return {failure.get("Code", "") for failure in failures}
