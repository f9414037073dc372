"""A background response: its record in DynamoDB; its question and its answer in the bucket."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from llm_relay.aws.dynamodb import Table
from llm_relay.core.client import Client
from llm_relay.jobs.leases import (
    CANCELLED,
    IN_PROGRESS,
    KEPT_SECONDS,
    QUEUED,
    attributes,
    number_of,
    text_of,
)
from llm_relay.streaming.responses.required_fields import complete_response

if TYPE_CHECKING:
    from llm_relay.aws.dynamodb import Item

# In these a response shows what the provider answered; in all others it has no output.
ANSWERED = frozenset({"completed", "incomplete", "failed"})

Document = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class BackgroundResponse:
    """One background response; times are seconds since the epoch."""

    id: str
    owner: str
    client: Client  # what the call may do and spend, as it was when it came
    created_at: int
    expires_at: int
    status: str = QUEUED

    def shown(self, document: Document) -> Document:
        """Return the response as it is now; `document` is what the bucket has of it."""
        return document if self.status in ANSWERED else unanswered(document, self.status)


def unanswered(document: Document, status: str) -> Document:
    """Return a response as it is without an answer: no output, and nothing else of the provider's.

    The provider's answer may be in the document already.
    """
    names = {*complete_response({}, {}), "background"}
    bare = {name: document[name] for name in document if name in names}
    without: Document = {"output": [], "usage": None, "error": None, "incomplete_details": None}
    return bare | without | {"status": status}


def request_key(owner: str, response_id: str) -> str:
    """Return where the question lies."""
    return f"responses/{owner}/{response_id}.request.json"


def answer_key(owner: str, response_id: str) -> str:
    """Return where the response lies, as it was queued or as it ended."""
    return f"responses/{owner}/{response_id}.json"


def key_of(owner: str, response_id: str) -> Item:
    """Return the key of the record."""
    return {"pk": {"S": f"responses#{owner}"}, "sk": {"S": response_id}}


@lru_cache(maxsize=1)
def records() -> Records:
    """Return the records of this environment, made on first use."""
    return Records(Table(os.environ["BATCHES_TABLE"]))


class Records:
    """The background responses of all owners."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def add(self, response: BackgroundResponse) -> None:
        """Keep a new record."""
        facts: dict[str, str | int] = {
            "status": response.status,
            "client": _client_text(response.client),
            "created_at": response.created_at,
            "expires_at": response.expires_at,
            "ttl": response.expires_at + KEPT_SECONDS,
        }
        self._table.update(
            {
                "Key": key_of(response.owner, response.id),
                "UpdateExpression": "SET " + ", ".join(f"#{name} = :{name}" for name in facts),
                "ExpressionAttributeNames": {f"#{name}": name for name in facts},
                "ExpressionAttributeValues": {
                    f":{name}": value for name, value in attributes(facts).items()
                },
            }
        )

    def get(self, owner: str, response_id: str) -> BackgroundResponse | None:
        """Return a response as it is now, unless its time is over."""
        return _found(self._table.get(key_of(owner, response_id)))

    def cancel(self, owner: str, response_id: str) -> BackgroundResponse | None:
        """Cancel a response that has not ended; return it as it is then."""
        values = {"cancelled": CANCELLED, "queued": QUEUED, "in_progress": IN_PROGRESS}
        _, item = self._table.update(
            {
                "Key": key_of(owner, response_id),
                "UpdateExpression": "SET #status = :cancelled",
                "ConditionExpression": "#status IN (:queued, :in_progress)",
                "ExpressionAttributeNames": {"#status": "status"},
                "ExpressionAttributeValues": {
                    f":{name}": value for name, value in attributes(values).items()
                },
            }
        )
        return _found(item)

    def delete(self, owner: str, response_id: str) -> None:
        """Forget a response."""
        self._table.delete(key_of(owner, response_id))


def client_in(item: Item) -> Client:
    """Return the client that a record was made for."""
    facts = json.loads(text_of(item, "client"))
    models = facts.pop("models")
    return Client(**facts, models=None if models is None else frozenset(models))


def _client_text(client: Client) -> str:
    models = None if client.models is None else sorted(client.models)
    return json.dumps(asdict(client) | {"models": models})


def _found(item: Item | None) -> BackgroundResponse | None:
    if item is None or number_of(item, "expires_at") <= time.time():
        return None
    return BackgroundResponse(
        id=text_of(item, "sk"),
        owner=text_of(item, "pk").partition("#")[2],
        client=client_in(item),
        created_at=number_of(item, "created_at"),
        expires_at=number_of(item, "expires_at"),
        status=text_of(item, "status"),
    )
