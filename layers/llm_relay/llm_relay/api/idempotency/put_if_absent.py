"""A DynamoDB client whose repeated conditional puts recognize their own record.

If the reply to a put is lost, the SDK repeats it, and the condition fails on the first one.
"""

from __future__ import annotations

import secrets
from typing import Any

Item = dict[str, Any]


class PutIfAbsentClient:
    """A boto3 client that distinguishes the records it puts from those of others."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        """Return the attribute of the boto3 client."""
        return getattr(self._client, name)

    def put_item(self, Item: Item, **more: Any) -> Item:  # noqa: N803 - boto3's name
        """Put a record with a random mark; a failed condition is ignored on our own record."""
        mark = {"maker": {"S": secrets.token_hex(8)}}
        try:
            answer: dict[str, Any] = self._client.put_item(Item=Item | mark, **more)
        except self._client.exceptions.ConditionalCheckFailedException as error:
            if error.response.get("Item", {}).items() >= mark.items():
                return {}
            raise
        return answer
