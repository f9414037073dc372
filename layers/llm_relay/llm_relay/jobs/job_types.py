"""The two types of jobs: an operator's message, and a background response."""

from __future__ import annotations

import hashlib
import json
import re
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeGuard

from llm_relay.core.client import Client
from llm_relay.core.errors import BadRequest
from llm_relay.core.json_codec import compact
from llm_relay.endpoints.endpoint import Endpoint, endpoint_at
from llm_relay.endpoints.responses import Responses
from llm_relay.jobs import response_store
from llm_relay.jobs.leases import CANCELLED, QUEUED
from llm_relay.validation import rules
from llm_relay.validation.fields import refuse

if TYPE_CHECKING:
    from llm_relay.aws.dynamodb import Item
    from llm_relay.aws.s3 import Bucket
    from llm_relay.core.answer import HttpAnswer
    from llm_relay.core.defaults import Document
    from llm_relay.jobs.leases import Record

_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_EXAMPLE = '{"id": "job-1", "url": "/v1/chat/completions", "body": {"model": "..."}}'
_NOT_ALLOWED = {
    "stream": "is not possible in a job, whose result is one object. Leave it out.",
    "background": "is not possible in a job, which runs in the background anyway. Leave it out.",
}


def result_key(job_id: str) -> str:
    """Return the bucket key of a job's result."""
    return f"jobs/{job_id}.json"


class QueueJob:
    """A message with one request; without a valid id, it has the id of the message itself."""

    kind = "job"  # the prefix of its events
    fails_at_last_delivery = False  # the message goes to the dead-letter queue instead

    def __init__(self, message: Any, message_id: str, bucket: Bucket) -> None:
        self._message = message
        self._bucket = bucket
        given = message.get("id") if isinstance(message, dict) else None
        self.id = given if _is_valid_id(given) else message_id
        self.key: Item = {"pk": {"S": "jobs"}, "sk": {"S": self.id}}
        self.digest = hashlib.sha256(json.dumps(message, sort_keys=True).encode()).hexdigest()

    def client(self, _record: Record) -> Client:
        """Return the operator, who has no budget."""
        return Client(id="", key_id="operator")

    def request(self) -> tuple[Endpoint, bytes]:
        """Return the endpoint and the body of the message; BadRequest if it is invalid."""
        message = self._message
        if not isinstance(message, dict):
            raise BadRequest(f"A message must be a JSON object such as {_EXAMPLE}.")
        if message.get("id") is not None and not _is_valid_id(message["id"]):
            refuse("id", "must be 1 to 128 letters, digits, dots, dashes and underscores.")
        url = message.get("url")
        endpoint = endpoint_at(url) if isinstance(url, str) else None
        if endpoint is None:
            refuse("url", "must be /v1/chat/completions or /v1/responses.")
        rules.check(message, {"body": rules.object_with('{"model": "..."}')})
        body = message["body"]
        for name, reason in _NOT_ALLOWED.items():
            if body.get(name):
                refuse(f"body.{name}", reason)
        return endpoint, compact(body)

    def stored_status(self) -> str | None:
        """Return the status of a result that an earlier, interrupted invocation stored."""
        try:
            result = json.loads(self._bucket.get(result_key(self.id)))
        except KeyError:
            return None
        return _final_status(result["response"]["status_code"])

    def store(self, answer: HttpAnswer) -> str:
        """Store the result as a line of a batch's output; return the job's final status."""
        headers = answer.headers
        response = {
            "status_code": int(answer.status),
            "request_id": headers.get("x-upstream-request-id") or headers.get("x-request-id"),
            "body": json.loads(b"".join(answer.body)),
        }
        line = {"id": self.id, "custom_id": self.id, "response": response, "error": None}
        self._bucket.put(result_key(self.id), compact(line))
        return _final_status(answer.status)

    def event_data(self) -> Document:
        """Return the location of the result."""
        return {"result": {"bucket": self._bucket.name, "key": result_key(self.id)}}

    def discard_answer(self) -> None:
        """Do nothing: this job cannot be cancelled."""

    def delete_objects(self) -> None:
        """Do nothing: this job cannot be deleted."""


class ResponseJob:
    """A background response, whose request and answer are in the bucket."""

    kind = "response"
    digest = None  # the message does not have its content
    fails_at_last_delivery = True  # a client that polls must not see `queued` for ever

    def __init__(self, owner: str, response_id: str) -> None:
        self.id = response_id
        self.key = response_store.record_key(owner, response_id)
        self._reference = (owner, response_id)

    def client(self, record: Record) -> Client:
        """Return the client that made the request."""
        return response_store.client_in(record)

    def request(self) -> tuple[Endpoint, bytes]:
        """Return the endpoint and the stored body."""
        return Responses(), response_store.read_request(*self._reference)

    def stored_status(self) -> str | None:
        """Return the status of an answer that an earlier, interrupted invocation stored."""
        status: str = response_store.read_document(*self._reference)["status"]
        return None if status == QUEUED else status

    def store(self, answer: HttpAnswer) -> str:
        """Store the response as it ended; return its status."""
        try:
            queued = response_store.read_document(*self._reference)
        except KeyError:  # deleted meanwhile
            return "failed"
        body = json.loads(b"".join(answer.body))
        if _final_status(answer.status) == "failed":
            code = str(body["error"].get("code") or "server_error")
            error = {"code": code, "message": body["error"].get("message")}
            body = {"status": "failed", "error": error}
        ended = queued | body
        status: str = ended["status"] if ended["status"] in response_store.ANSWERED else "completed"
        own = {name: queued[name] for name in ("id", "created_at", "background")}
        response_store.write_document(*self._reference, ended | own | {"status": status})
        return status

    def event_data(self) -> Document:
        """Return the owner of the response."""
        return {"owner": self._reference[0]}

    def discard_answer(self) -> None:
        """Remove the answer to a response that was cancelled meanwhile."""
        with suppress(KeyError):  # deleted after that
            stored = response_store.read_document(*self._reference)
            bare = response_store.shown_document(stored, CANCELLED)
            response_store.write_document(*self._reference, bare)

    def delete_objects(self) -> None:
        """Delete the objects of a response that was deleted meanwhile."""
        response_store.delete_objects(*self._reference)


Job = QueueJob | ResponseJob


def _is_valid_id(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and bool(_ID.fullmatch(value))


def _final_status(status: int) -> str:
    is_success = HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES
    return "completed" if is_success else "failed"
