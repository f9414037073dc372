"""The job of a background response, whose request and answer are in the bucket."""

from __future__ import annotations

import json
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING

from llm_relay.endpoints.responses import Responses
from llm_relay.jobs import response_store
from llm_relay.jobs.job import Job
from llm_relay.jobs.leases import CANCELLED, QUEUED

if TYPE_CHECKING:
    from llm_relay.aws.dynamodb import Item
    from llm_relay.core.answer import HttpAnswer
    from llm_relay.core.client import Client
    from llm_relay.core.defaults import Document
    from llm_relay.endpoints.endpoint import Endpoint


class ResponseJob(Job):
    """The job of a background response."""

    kind = "response"
    fails_at_last_delivery = True  # a client that polls must not see `queued` for ever

    def __init__(self, owner: str, response_id: str) -> None:
        self.id = response_id
        self.key = response_store.record_key(owner, response_id)
        self._reference = (owner, response_id)

    def client(self, item: Item) -> Client:
        """Return the client that made the request."""
        return response_store.client_in(item)

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
        if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
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
            bare = response_store.without_answer(stored, CANCELLED)
            response_store.write_document(*self._reference, bare)

    def delete_objects(self) -> None:
        """Delete the objects of a response that was deleted meanwhile."""
        response_store.delete_objects(*self._reference)
