"""POST /v1/responses with `background`: queues the request and answers at once."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from llm_relay.api.relay import Relay
from llm_relay.api.request_handling import json_success
from llm_relay.batch.model.names import new_id
from llm_relay.core.error_log import log_internal_error
from llm_relay.core.errors import BackgroundUnavailable
from llm_relay.jobs import response_store
from llm_relay.jobs.queue import queue_url, send_message
from llm_relay.jobs.response_store import BackgroundResponse
from llm_relay.streaming.responses.required_fields import complete_response
from llm_relay.validation.fields import body_object, may_be_flag, refuse

if TYPE_CHECKING:
    from llm_relay.core.answer import HttpAnswer
    from llm_relay.core.client import Client
    from llm_relay.core.defaults import Document

_DEFAULT_LIFETIME_SECONDS = "86400"


class BackgroundAwareRelay(Relay):
    """Answers a request for a response, now or in the background."""

    def answer(self, text: bytes) -> HttpAnswer:
        """Return the provider's answer or a queued response; else a RelayError."""
        # Without the word the request need not be parsed twice.
        body = body_object(text) if b'"background"' in text else {}
        may_be_flag(body, "background")
        if not body.get("background"):
            return super().answer(text)
        url = _queue_for(body)
        request = {name: value for name, value in body.items() if name != "background"}
        response = _new_response(self._client)
        fields = {name: getattr(response, name) for name in ("id", "created_at", "status")}
        document = complete_response(fields | {"background": True}, body)
        self._enqueue(url, response, self.validate(request), document)
        return json_success(self._call, document)

    def _enqueue(
        self,
        url: str,
        response: BackgroundResponse,
        request: Document,
        document: Document,
    ) -> None:
        try:
            response_store.add(response, request, document)
            send_message(url, {"owner": response.owner, "response": response.id})
        except Exception as error:  # noqa: BLE001 - any failure: the provider was not called
            log_internal_error(error, self._call.request_id)
            with suppress(Exception):  # the message may have been sent nevertheless
                response_store.cancel(response.owner, response.id)
            raise BackgroundUnavailable(
                "The response could not be queued, and the provider was not called. Try again in "
                "a moment, or leave 'background' out and wait for the answer."
            ) from None


def owner_id(client: Client) -> str:
    """Return the owner of a client's responses, which stays the same when its key is rotated."""
    return client.id or client.key_id


def _queue_for(body: Document) -> str:
    url = queue_url()
    if url is None:
        refuse("background", "is switched off here. Leave it out, and wait for the answer.")
    if body.get("stream") is True:
        refuse("stream", "is not possible with 'background'. Leave one of them out.")
    if body.get("store") is False:
        refuse("store", "must not be false with 'background'. Leave one of them out.")
    return url


def _new_response(client: Client) -> BackgroundResponse:
    now = int(time.time())
    lifetime = int(os.environ.get("RESPONSE_SECONDS") or _DEFAULT_LIFETIME_SECONDS)
    return BackgroundResponse(
        id=new_id("resp_"),
        owner=owner_id(client),
        client=client,
        created_at=now,
        expires_at=now + lifetime,
    )
