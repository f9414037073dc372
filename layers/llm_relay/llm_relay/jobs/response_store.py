"""Stores background responses: a record in DynamoDB, request and answer in the bucket."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_relay.aws.s3 import Bucket
from llm_relay.core.client import Client, parse_client
from llm_relay.core.json_codec import compact
from llm_relay.jobs.items import integer_in, set_expression, string_in, update_item
from llm_relay.jobs.leases import CANCELLED, IN_PROGRESS, QUEUED, RETENTION_SECONDS, jobs_table
from llm_relay.streaming.responses.required_fields import complete_response

if TYPE_CHECKING:
    from llm_relay.aws.dynamodb import Item
    from llm_relay.core.defaults import Document

# Statuses in which a response shows the provider's answer; in all others it has no output.
ANSWERED = frozenset({"completed", "incomplete", "failed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class BackgroundResponse:
    """One background response; times are Unix seconds."""

    id: str
    owner: str
    client: Client  # with its budget and models as they were at the request
    created_at: int
    expires_at: int
    status: str = QUEUED

    def to_document(self, stored: Document) -> Document:
        """Return the response as it is now; `stored` is its document in the bucket."""
        return stored if self.status in ANSWERED else without_answer(stored, self.status)


def without_answer(document: Document, status: str) -> Document:
    """Return a response without the provider's answer, which may have been stored already."""
    names = {*complete_response({}, {}), "background"}
    bare = {name: document[name] for name in document if name in names}
    empty: Document = {"output": [], "usage": None, "error": None, "incomplete_details": None}
    return bare | empty | {"status": status}


def document_key(owner: str, response_id: str) -> str:
    """Return the bucket key of a response, as it was queued or as it ended."""
    return f"responses/{owner}/{response_id}.json"


def record_key(owner: str, response_id: str) -> Item:
    """Return the key of a response's record."""
    return {"pk": {"S": f"responses#{owner}"}, "sk": {"S": response_id}}


def add(response: BackgroundResponse, request: Document, document: Document) -> None:
    """Store a new response: its request, its document and its record."""
    _bucket().put(_request_key(response.owner, response.id), compact(request))
    write_document(response.owner, response.id, document)
    values: dict[str, str | int] = {
        "status": response.status,
        "client": json.dumps(response.client.document()),
        "created_at": response.created_at,
        "expires_at": response.expires_at,
        "ttl": response.expires_at + RETENTION_SECONDS,
    }
    key = record_key(response.owner, response.id)
    jobs_table().update(update_item(key, set_expression(values), values))


def find(owner: str, response_id: str) -> BackgroundResponse | None:
    """Return a response as it is now; None if it does not exist or has expired."""
    return _parse(jobs_table().get(record_key(owner, response_id)))


def cancel(owner: str, response_id: str) -> BackgroundResponse | None:
    """Cancel an unfinished response; return the response as it is then."""
    values = {"status": CANCELLED, "queued": QUEUED, "in_progress": IN_PROGRESS}
    key, change = record_key(owner, response_id), set_expression(["status"])
    condition = "#status IN (:queued, :in_progress)"
    _, item = jobs_table().update(update_item(key, change, values, condition))
    return _parse(item)


def delete_record(owner: str, response_id: str) -> None:
    """Delete a response's record."""
    jobs_table().delete(record_key(owner, response_id))


def delete_objects(owner: str, response_id: str) -> None:
    """Delete a response's request and document."""
    _bucket().delete(_request_key(owner, response_id))
    _bucket().delete(document_key(owner, response_id))


def read_request(owner: str, response_id: str) -> bytes:
    """Return the stored body of a response's request."""
    return _bucket().get(_request_key(owner, response_id))


def read_document(owner: str, response_id: str) -> Document:
    """Return the stored document of a response; KeyError if it was deleted."""
    document: Document = json.loads(_bucket().get(document_key(owner, response_id)))
    return document


def write_document(owner: str, response_id: str, document: Document) -> None:
    """Store the document of a response."""
    _bucket().put(document_key(owner, response_id), compact(document))


def client_in(item: Item) -> Client:
    """Return the client of a record."""
    return parse_client(json.loads(string_in(item, "client")))


def _bucket() -> Bucket:
    return Bucket(os.environ["BATCH_BUCKET"])


def _request_key(owner: str, response_id: str) -> str:
    return f"responses/{owner}/{response_id}.request.json"


def _parse(item: Item | None) -> BackgroundResponse | None:
    if item is None or integer_in(item, "expires_at") <= time.time():
        return None
    return BackgroundResponse(
        id=string_in(item, "sk"),
        owner=string_in(item, "pk").partition("#")[2],
        client=client_in(item),
        created_at=integer_in(item, "created_at"),
        expires_at=integer_in(item, "expires_at"),
        status=string_in(item, "status"),
    )
