"""The job of a background response: its question lies in the bucket, and its answer will."""

from __future__ import annotations

import json
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from llm_relay.api.api_gateway import ApiRequest
from llm_relay.api.relay import Relay, handle_request
from llm_relay.endpoints.responses import Responses
from llm_relay.jobs.leases import CANCELLED, QUEUED
from llm_relay.jobs.record import (
    ANSWERED,
    answer_key,
    client_in,
    key_of,
    request_key,
    unanswered,
)
from llm_relay.jobs.task import ROUTE

if TYPE_CHECKING:
    from llm_relay.aws.dynamodb import Item
    from llm_relay.aws.s3 import Bucket
    from llm_relay.core.answer import HttpAnswer
    from llm_relay.core.deadline import Deadline
    from llm_relay.observability.call_record import CallRecord

FAILED = "failed"

Document = dict[str, Any]


class ResponseTask:
    """A background response on its way to its end."""

    kind = "response"
    digest: str | None = None
    # Its owner asks for it, and must not be told `queued` for ever.
    ends_at_last = True

    def __init__(self, owner: str, response_id: str, bucket: Bucket) -> None:
        self.id = response_id
        self.key = key_of(owner, response_id)
        self._owner = owner
        self._bucket = bucket

    def answer(self, item: Item, deadline: Deadline) -> HttpAnswer:
        """Ask the provider, on the client's budget; return its answer or refusal."""
        client = client_in(item)

        def work(call: CallRecord) -> HttpAnswer:
            text = self._bucket.get(request_key(self._owner, self.id))
            return Relay(Responses(), call, deadline, client).answer(text)

        request = ApiRequest(route=ROUTE, request_id=self.id, api_key_id=client.key_id)
        return handle_request(request, work)

    def kept(self) -> str | None:
        """Return the state of an answer that an invocation put down before it died."""
        status: str = self._response()["status"]
        return None if status == QUEUED else status

    def keep(self, answer: HttpAnswer) -> str:
        """Put the response down as it ended; return its state."""
        try:
            queued = self._response()
        except KeyError:  # deleted in the meantime
            return FAILED
        body = json.loads(b"".join(answer.body))
        is_answer = HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES
        ended = queued | (body if is_answer else _failure(body["error"]))
        status: str = ended["status"] if ended["status"] in ANSWERED else "completed"
        own = {name: queued[name] for name in ("id", "created_at", "background")}
        self._put(ended | own | {"status": status})
        return status

    def drop(self) -> None:
        """Leave nothing of the answer to a response that was cancelled in the meantime."""
        with suppress(KeyError):  # deleted after that
            self._put(unanswered(self._response(), CANCELLED))

    def forget(self) -> None:
        """Leave nothing of a response that was deleted in the meantime."""
        forget_response(self._bucket, self._owner, self.id)

    def news(self) -> Document:
        """Return whose response it is."""
        return {"owner": self._owner}

    def _response(self) -> Document:
        response: Document = json.loads(self._bucket.get(answer_key(self._owner, self.id)))
        return response

    def _put(self, response: Document) -> None:
        text = json.dumps(response, separators=(",", ":"))
        self._bucket.put(answer_key(self._owner, self.id), text.encode())


def forget_response(bucket: Bucket, owner: str, response_id: str) -> None:
    """Delete a response's question and answer."""
    bucket.delete(request_key(owner, response_id))
    bucket.delete(answer_key(owner, response_id))


def _failure(error: Document) -> Document:
    told: Document = {
        "code": str(error.get("code") or "server_error"),
        "message": error.get("message"),
    }
    return {"status": FAILED, "error": told}
