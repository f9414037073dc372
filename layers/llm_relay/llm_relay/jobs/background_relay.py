"""POST /v1/responses with `background`: taken on for later, and answered `queued` at once."""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from llm_relay.api.relay import Relay
from llm_relay.aws.s3 import Bucket
from llm_relay.batch.model.names import new_id
from llm_relay.core.answer import HttpAnswer, json_answer
from llm_relay.core.error_log import log_internal_error
from llm_relay.core.errors import BackgroundUnavailable, BadRequest
from llm_relay.jobs.queue import Queue, jobs_queue
from llm_relay.jobs.record import BackgroundResponse, answer_key, records, request_key
from llm_relay.streaming.responses.required_fields import complete_response
from llm_relay.validation.fields import body_object, may_be_flag

if TYPE_CHECKING:
    from llm_relay.core.client import Client

_DAY_SECONDS = "86400"

Document = dict[str, Any]


class BackgroundAwareRelay(Relay):
    """One request for a response, which the caller waits for or comes back for."""

    def answer(self, text: bytes) -> HttpAnswer:
        """Return the provider's answer, or a response that is queued; else a RelayError."""
        # Most requests do not say the word, and need not be parsed once more to know.
        body = body_object(text) if b'"background"' in text else {}
        may_be_flag(body, "background")
        if not body.get("background"):
            return super().answer(text)
        queue = _queue_for(body)
        asked = {name: value for name, value in body.items() if name != "background"}
        response = _new_response(self._client)
        shown = complete_response(_facts(response), body)
        self._take_on(queue, response, self.validate(asked), shown)
        self._call.mark_first_byte()
        self._call.finish(HTTPStatus.OK)
        return json_answer(HTTPStatus.OK, shown, self._call.headers())

    def _take_on(
        self, queue: Queue, response: BackgroundResponse, asked: Document, shown: Document
    ) -> None:
        owner, bucket = response.owner, Bucket(os.environ["BATCH_BUCKET"])
        try:
            bucket.put(request_key(owner, response.id), _text(asked))
            bucket.put(answer_key(owner, response.id), _text(shown))
            records().add(response)
            queue.send({"owner": owner, "response": response.id})
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing was asked
            log_internal_error(error, self._call.request_id)
            with suppress(Exception):  # a message may have gone out before its failure
                records().cancel(owner, response.id)
            raise BackgroundUnavailable(
                "The response could not be queued, and nothing was asked. Try again in a moment, "
                "or leave 'background' out and wait for the answer."
            ) from None


def owner_of(client: Client) -> str:
    """Return whose responses a client's are: they stay its own when its key is rotated."""
    return client.id or client.key_id


def _queue_for(body: Document) -> Queue:
    queue = jobs_queue()
    if queue is None:
        raise BadRequest(
            "Background responses are switched off here. Leave 'background' out and wait for the "
            "answer, or stream it.",
            param="background",
        )
    if body.get("stream") is True:
        raise BadRequest(
            "A background response cannot be streamed here. Leave 'stream' out and ask "
            "GET /v1/responses/{id} until it has ended, or leave 'background' out.",
            param="stream",
        )
    if body.get("store") is False:
        raise BadRequest(
            "A background response has to be stored until you fetch it. Leave 'store' out, or "
            "leave 'background' out.",
            param="store",
        )
    return queue


def _new_response(client: Client) -> BackgroundResponse:
    now = int(time.time())
    return BackgroundResponse(
        id=new_id("resp_"),
        owner=owner_of(client),
        client=client,
        created_at=now,
        expires_at=now + int(os.environ.get("RESPONSE_SECONDS") or _DAY_SECONDS),
    )


def _facts(response: BackgroundResponse) -> Document:
    return {
        "id": response.id,
        "created_at": response.created_at,
        "status": response.status,
        "background": True,
    }


def _text(document: Document) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
