"""DynamoDB's client, for which a record that it made itself is no record of somebody else.

It meets its own if the reply to the first of two tries was lost.
"""

from __future__ import annotations

import secrets
from typing import Any

Document = dict[str, Any]


class PutIfAbsentClient:
    """A client of boto3 that tells the records it puts from those of others."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        """Do whatever else a client does."""
        return getattr(self._client, name)

    def put_item(self, Item: Document, **more: Any) -> Document:  # noqa: N803 - boto3's name
        """Put a record with a mark of its own, unless the condition is not met."""
        mark = {"maker": {"S": secrets.token_hex(8)}}
        try:
            answer: Document = self._client.put_item(Item=Item | mark, **more)
        except self._client.exceptions.ConditionalCheckFailedException as refused:
            if refused.response.get("Item", {}).items() >= mark.items():
                return {}
            raise
        return answer
