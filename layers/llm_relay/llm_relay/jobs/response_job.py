"""The job of a background response, whose request and answer are in the bucket."""

from __future__ import annotations

import json
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING

from llm_relay.api.api_gateway import ApiRequest
from llm_relay.api.relay import Relay
from llm_relay.api.request_handling import handle_request
from llm_relay.core.json_codec import compact
from llm_relay.endpoints.responses import Responses
from llm_relay.jobs.job import ROUTE, Job
from llm_relay.jobs.leases import CANCELLED, QUEUED
from llm_relay.jobs.response_store import (
    ANSWERED,
    answer_key,
    client_in,
    record_key,
    request_key,
    without_answer,
)

if TYPE_CHECKING:
    from llm_relay.aws.dynamodb import Item
    from llm_relay.aws.s3 import Bucket
    from llm_relay.core.answer import HttpAnswer
    from llm_relay.core.deadline import Deadline
    from llm_relay.core.defaults import Document
    from llm_relay.observability.call_record import CallRecord


class ResponseJob(Job):
    """The job of a background response."""

    kind = "response"
    fails_at_last_delivery = True  # a client that polls must not see `queued` for ever

    def __init__(self, owner: str, response_id: str, bucket: Bucket) -> None:
        self.id = response_id
        self.key = record_key(owner, response_id)
        self._owner = owner
        self._bucket = bucket

    def answer(self, item: Item, deadline: Deadline) -> HttpAnswer:
        """Call the provider on the client's budget; return its answer or refusal."""
        client = client_in(item)

        def work(call: CallRecord) -> HttpAnswer:
            text = self._bucket.get(request_key(self._owner, self.id))
            return Relay(Responses(), call, deadline, client).answer(text)

        request = ApiRequest(route=ROUTE, request_id=self.id, api_key_id=client.key_id)
        return handle_request(request, work)

    def stored_status(self) -> str | None:
        """Return the status of an answer that an earlier, interrupted invocation stored."""
        status: str = self._stored()["status"]
        return None if status == QUEUED else status

    def store(self, answer: HttpAnswer) -> str:
        """Store the response as it ended; return its status."""
        try:
            queued = self._stored()
        except KeyError:  # deleted meanwhile
            return "failed"
        body = json.loads(b"".join(answer.body))
        if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
            code = str(body["error"].get("code") or "server_error")
            error = {"code": code, "message": body["error"].get("message")}
            body = {"status": "failed", "error": error}
        ended = queued | body
        status: str = ended["status"] if ended["status"] in ANSWERED else "completed"
        own = {name: queued[name] for name in ("id", "created_at", "background")}
        self._put(ended | own | {"status": status})
        return status

    def event_data(self) -> Document:
        """Return the owner of the response."""
        return {"owner": self._owner}

    def discard_answer(self) -> None:
        """Remove the answer to a response that was cancelled meanwhile."""
        with suppress(KeyError):  # deleted after that
            self._put(without_answer(self._stored(), CANCELLED))

    def delete_objects(self) -> None:
        """Delete the objects of a response that was deleted meanwhile."""
        delete_response_objects(self._bucket, self._owner, self.id)

    def _stored(self) -> Document:
        response: Document = json.loads(self._bucket.get(answer_key(self._owner, self.id)))
        return response

    def _put(self, response: Document) -> None:
        self._bucket.put(answer_key(self._owner, self.id), compact(response))


def delete_response_objects(bucket: Bucket, owner: str, response_id: str) -> None:
    """Delete a response's request and answer."""
    bucket.delete(request_key(owner, response_id))
    bucket.delete(answer_key(owner, response_id))
