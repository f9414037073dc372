"""Stores background responses: a record in DynamoDB, request and answer in the bucket."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING

from llm_relay.aws.s3 import Bucket
from llm_relay.batch.model.codec import decode_item, set_expression
from llm_relay.batch.model.names import owner_id
from llm_relay.core.client import Client, parse_client
from llm_relay.core.json_codec import compact
from llm_relay.jobs import leases
from llm_relay.jobs.leases import CANCELLED, IN_PROGRESS, QUEUED, Record
from llm_relay.streaming.responses.required_fields import complete_response

if TYPE_CHECKING:
    from llm_relay.aws.dynamodb import Item
    from llm_relay.core.defaults import Document

# Statuses in which a response shows the provider's answer; in all others it has no output.
ANSWERED = frozenset({"completed", "incomplete", "failed"})

_DEFAULT_LIFETIME_SECONDS = "86400"


def shown_document(document: Document, status: str) -> Document:
    """Return a response in a status; its stored document may have the answer already."""
    if status in ANSWERED:
        return document
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


def add(client: Client, request: Document, document: Document) -> None:
    """Store a new response: its request, its document and its record.

    The record has the client with its budget and models as they are now.
    """
    owner, response_id, created_at = owner_id(client), document["id"], document["created_at"]
    lifetime = int(os.environ.get("RESPONSE_SECONDS") or _DEFAULT_LIFETIME_SECONDS)
    _bucket().put(_request_key(owner, response_id), compact(request))
    write_document(owner, response_id, document)
    values: Record = {
        "status": document["status"],
        "client": json.dumps(client.document()),
        "created_at": created_at,
        "expires_at": created_at + lifetime,
        "ttl": created_at + lifetime + leases.RETENTION_SECONDS,
    }
    leases.update_record(record_key(owner, response_id), set_expression(values), values)


def find_status(owner: str, response_id: str) -> str | None:
    """Return the status of a response; None if it does not exist or has expired."""
    item = leases.jobs_table().get(record_key(owner, response_id))
    return _status_in(decode_item(item)) if item else None


def cancel(owner: str, response_id: str) -> str | None:
    """Cancel an unfinished response; return the status of a response, as `find_status` does."""
    values = {"status": CANCELLED, "queued": QUEUED, "in_progress": IN_PROGRESS}
    key, is_unfinished = record_key(owner, response_id), "#status IN (:queued, :in_progress)"
    _, record = leases.update_record(key, set_expression(["status"]), values, is_unfinished)
    return _status_in(record) if record else None


def delete_record(owner: str, response_id: str) -> None:
    """Delete a response's record."""
    leases.jobs_table().delete(record_key(owner, response_id))


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


def client_in(record: Record) -> Client:
    """Return the client of a record."""
    return parse_client(json.loads(record["client"]))


def _bucket() -> Bucket:
    return Bucket(os.environ["BATCH_BUCKET"])


def _request_key(owner: str, response_id: str) -> str:
    return f"responses/{owner}/{response_id}.request.json"


def _status_in(record: Record) -> str | None:
    status: str = record["status"]
    return status if record["expires_at"] > time.time() else None
