"""A job that is its own message: one question to the provider, one result in the bucket."""

from __future__ import annotations

import hashlib
import json
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from llm_relay.api.api_gateway import ApiRequest
from llm_relay.api.relay import Relay, handle_request
from llm_relay.core.client import Client
from llm_relay.core.errors import BadRequest
from llm_relay.core.json_codec import parse
from llm_relay.endpoints.endpoint import endpoint_at
from llm_relay.jobs.task import ROUTE
from llm_relay.validation.fields import needs_object, refuse

if TYPE_CHECKING:
    from typing import TypeGuard

    from llm_relay.aws.dynamodb import Item
    from llm_relay.aws.s3 import Bucket
    from llm_relay.core.answer import HttpAnswer
    from llm_relay.core.deadline import Deadline
    from llm_relay.endpoints.endpoint import Endpoint
    from llm_relay.observability.call_record import CallRecord

OPERATOR = "operator"
COMPLETED, FAILED = "completed", "failed"
_PLAIN_NAME = re.compile(r"[A-Za-z0-9._-]{1,128}")
_EXAMPLE = '{"id": "job-1", "url": "/v1/chat/completions", "body": {"model": "..."}}'
_HAS_NO_PLACE = {
    "stream": "has no place in a job, whose result is one object. Leave it out.",
    "background": "has no place in a job, which runs in the background anyway. Leave it out.",
}

Document = dict[str, Any]


def result_key(job_id: str) -> str:
    """Return where the result of a job lies."""
    return f"jobs/{job_id}.json"


class SingleJob:
    """A job as its message spells it; the message's own id serves one that names none."""

    kind = "job"
    ends_at_last = False

    def __init__(self, message: Any, message_id: str, bucket: Bucket) -> None:
        self._message = message
        self._bucket = bucket
        named = message.get("id") if isinstance(message, dict) else None
        self.id: str = named if _is_plain_name(named) else message_id
        self.key: Item = {"pk": {"S": "jobs"}, "sk": {"S": self.id}}
        told = json.dumps(message, sort_keys=True)
        self.digest: str | None = hashlib.sha256(told.encode()).hexdigest()

    def answer(self, _item: Item, deadline: Deadline) -> HttpAnswer:
        """Ask the provider; return its answer or refusal."""

        def work(call: CallRecord) -> HttpAnswer:
            endpoint, body = self._question()
            client = Client(id="", key_id=OPERATOR)
            text = json.dumps(body, separators=(",", ":")).encode()
            return Relay(endpoint, call, deadline, client).answer(text)

        request = ApiRequest(route=ROUTE, request_id=self.id, api_key_id=OPERATOR)
        return handle_request(request, work)

    def kept(self) -> str | None:
        """Return the state of a result that an invocation put down before it died."""
        try:
            line = json.loads(self._bucket.get(result_key(self.id)))
        except KeyError:
            return None
        return _status_of(line["response"]["status_code"])

    def keep(self, answer: HttpAnswer) -> str:
        """Put the result down, as a line of a batch's output; return the state of the job."""
        headers = answer.headers
        request_id = headers.get("x-upstream-request-id") or headers.get("x-request-id")
        response = {
            "status_code": int(answer.status),
            "request_id": request_id,
            "body": json.loads(b"".join(answer.body)),
        }
        line = {"id": self.id, "custom_id": self.id, "response": response, "error": None}
        self._bucket.put(result_key(self.id), json.dumps(line, separators=(",", ":")).encode())
        return _status_of(answer.status)

    def drop(self) -> None:
        """Do nothing: a job in the queue cannot be cancelled."""

    def forget(self) -> None:
        """Do nothing: results stay until the bucket's own rule deletes them."""

    def news(self) -> Document:
        """Return where the result lies."""
        return {"result": {"bucket": self._bucket.name, "key": result_key(self.id)}}

    def _question(self) -> tuple[Endpoint, Document]:
        message = self._message
        if not isinstance(message, dict):
            raise BadRequest(f"A message must be a JSON object such as {_EXAMPLE}.")
        if message.get("id") is not None and not _is_plain_name(message["id"]):
            refuse("id", "must be 1 to 128 letters, digits, dots, dashes and underscores.")
        url = message.get("url")
        endpoint = endpoint_at(url) if isinstance(url, str) else None
        if endpoint is None:
            refuse("url", "must be /v1/chat/completions or /v1/responses.")
        body = needs_object(message, "body", '{"model": "..."}')
        for name, why in _HAS_NO_PLACE.items():
            if body.get(name):
                refuse(f"body.{name}", why)
        return endpoint, body


def message_in(text: str) -> Any:
    """Return what a message says; None if it is no JSON."""
    try:
        return parse(text)
    except ValueError:
        return None


def _is_plain_name(name: Any) -> TypeGuard[str]:
    return isinstance(name, str) and bool(_PLAIN_NAME.fullmatch(name))


def _status_of(status: int) -> str:
    is_answer = HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES
    return COMPLETED if is_answer else FAILED
