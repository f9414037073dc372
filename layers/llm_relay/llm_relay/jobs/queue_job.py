"""An operator's job: a message with one request, and a result in the bucket."""

from __future__ import annotations

import hashlib
import json
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeGuard

from llm_relay.core.client import Client
from llm_relay.core.errors import BadRequest
from llm_relay.core.json_codec import compact, parse
from llm_relay.endpoints.endpoint import Endpoint, endpoint_at
from llm_relay.jobs.job import Job
from llm_relay.validation.fields import needs_object, refuse

if TYPE_CHECKING:
    from llm_relay.aws.dynamodb import Item
    from llm_relay.aws.s3 import Bucket
    from llm_relay.core.answer import HttpAnswer
    from llm_relay.core.defaults import Document

_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_EXAMPLE = '{"id": "job-1", "url": "/v1/chat/completions", "body": {"model": "..."}}'
_NOT_ALLOWED = {
    "stream": "is not possible in a job, whose result is one object. Leave it out.",
    "background": "is not possible in a job, which runs in the background anyway. Leave it out.",
}


def result_key(job_id: str) -> str:
    """Return the bucket key of a job's result."""
    return f"jobs/{job_id}.json"


class QueueJob(Job):
    """The job of a message; one without a valid id gets the message's own id."""

    kind = "job"

    def __init__(self, message: Any, message_id: str, bucket: Bucket) -> None:
        self._message = message
        self._bucket = bucket
        given = message.get("id") if isinstance(message, dict) else None
        self.id = given if _is_valid_id(given) else message_id
        self.key: Item = {"pk": {"S": "jobs"}, "sk": {"S": self.id}}
        content = json.dumps(message, sort_keys=True)
        self.digest = hashlib.sha256(content.encode()).hexdigest()

    def client(self, _item: Item) -> Client:
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
        body = needs_object(message, "body", '{"model": "..."}')
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
        request_id = headers.get("x-upstream-request-id") or headers.get("x-request-id")
        response = {
            "status_code": int(answer.status),
            "request_id": request_id,
            "body": json.loads(b"".join(answer.body)),
        }
        line = {"id": self.id, "custom_id": self.id, "response": response, "error": None}
        self._bucket.put(result_key(self.id), compact(line))
        return _final_status(answer.status)

    def event_data(self) -> Document:
        """Return the location of the result."""
        return {"result": {"bucket": self._bucket.name, "key": result_key(self.id)}}


def parse_message(text: str) -> Any:
    """Return the JSON of a message; None if it is invalid."""
    try:
        return parse(text)
    except ValueError:
        return None


def _is_valid_id(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and bool(_ID.fullmatch(value))


def _final_status(status: int) -> str:
    is_success = HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES
    return "completed" if is_success else "failed"
