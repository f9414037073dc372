"""DynamoDB: one client, and how long it is worth insisting."""

from __future__ import annotations

import random
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from botocore.exceptions import ClientError

Item = dict[str, Any]
Update = dict[str, Any]

# Updates of one item that meet a transaction are refused; with each refusal they spread out more.
_ATTEMPTS = 16
_FIRST_PAUSE_SECONDS = 0.02
_LONGEST_PAUSE_SECONDS = 0.5
_IN_THE_WAY = {
    "ProvisionedThroughputExceeded",
    "ThrottlingError",
    "TransactionConflict",
    "TransactionConflictException",
    "TransactionInProgressException",
}
_REFUSED = "ConditionalCheckFailedException"
_CONDITION_FAILED = "ConditionalCheckFailed"


@lru_cache(maxsize=1)
def dynamodb() -> Any:
    """Return the client of this environment, made on first use."""
    import boto3  # noqa: PLC0415 - a quarter of a second that most calls need not wait
    from botocore.config import Config  # noqa: PLC0415

    patience = Config(
        connect_timeout=1,
        read_timeout=2,
        retries={"mode": "standard", "total_max_attempts": 3},
        max_pool_connections=50,
    )
    return boto3.client("dynamodb", config=patience)


class Table:
    """One table; its updates wait for others that are in their way, and for nothing else."""

    def __init__(self, name: str, client: Callable[[], Any] = dynamodb) -> None:
        self._name = name
        self._client = client

    def update(self, update: Update) -> tuple[bool, Item | None]:
        """Return whether the condition was met, and the item as it is; None if there is none."""
        request = update | {
            "TableName": self._name,
            "ReturnValues": "ALL_NEW",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        answer, item = _unless_refused(lambda: self._client().update_item(**request))
        return (True, answer["Attributes"]) if answer else (False, item)

    def update_all(self, updates: list[Update]) -> bool:
        """Make all of the updates or none; return whether their conditions were met."""
        requests = [{"Update": update | {"TableName": self._name}} for update in updates]
        answer, _ = _unless_refused(
            lambda: self._client().transact_write_items(TransactItems=requests)
        )
        return answer is not None

    def get(self, key: Item) -> Item | None:
        """Return an item as it is now; None if there is none."""
        answer = self._client().get_item(TableName=self._name, Key=key, ConsistentRead=True)
        item: Item | None = answer.get("Item")
        return item

    def delete(self, key: Item) -> None:
        """Delete an item, if there is one."""
        self._client().delete_item(TableName=self._name, Key=key)

    def page(self, pk: str, after: str | None, limit: int, *, forward: bool) -> list[Item]:
        """Return so many items under a partition key, in order, from the one after `after` on."""
        start = {"pk": {"S": pk}, "sk": {"S": after}} if after else None
        pages = (
            self._client()
            .get_paginator("query")  # one query gives no more than a megabyte
            .paginate(
                TableName=self._name,
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues={":pk": {"S": pk}},
                ScanIndexForward=forward,
                ConsistentRead=True,
                PaginationConfig={"MaxItems": limit, "PageSize": limit},
                **({"ExclusiveStartKey": start} if start else {}),
            )
        )
        items: list[Item] = pages.build_full_result()["Items"]
        return items

    def sorted_from(self, pk: str, first: str) -> Iterator[Item]:
        """Yield the items under a partition key, in order, from a sort key on."""
        pages = (
            self._client()
            .get_paginator("query")
            .paginate(
                TableName=self._name,
                ConsistentRead=True,
                KeyConditionExpression="pk = :pk AND sk >= :first",
                ExpressionAttributeValues={":pk": {"S": pk}, ":first": {"S": first}},
            )
        )
        for page in pages:
            yield from page["Items"]


def _unless_refused(work: Callable[[], Item]) -> tuple[Item | None, Item | None]:
    """Return an answer, or the item whose condition was not met, if there is one."""
    from botocore.exceptions import ClientError  # noqa: PLC0415 - as late as boto3

    try:
        return _insisting(work), None
    except ClientError as error:
        if not _is_refused(error):
            raise
        response: Item = dict(error.response)
        return None, response.get("Item")


def _insisting(work: Callable[[], Item]) -> Item:
    from botocore.exceptions import ClientError  # noqa: PLC0415 - as late as boto3

    for attempt in range(_ATTEMPTS - 1):
        try:
            return work()
        except ClientError as error:
            if not _is_in_the_way(error):
                raise
        pause = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2**attempt)
        time.sleep(random.uniform(0, pause))  # noqa: S311 - spreads callers, guards nothing
    return work()


def _is_in_the_way(error: ClientError) -> bool:
    """Tell whether an update was refused for another that is under way."""
    return not _is_refused(error) and bool({_code(error), *_reasons(error)} & _IN_THE_WAY)


def _is_refused(error: ClientError) -> bool:
    """Tell whether an update's own condition was not met."""
    return _code(error) == _REFUSED or _CONDITION_FAILED in _reasons(error)


def _code(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "")


def _reasons(error: ClientError) -> list[str]:
    response: dict[str, Any] = dict(error.response)
    return [reason.get("Code", "") for reason in response.get("CancellationReasons", [])]
