"""POST /v1/responses with `background`: queues the request and answers at once."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from llm_relay.api.api_gateway import json_success
from llm_relay.api.relay import Relay
from llm_relay.batch.model.names import new_id, owner_id
from llm_relay.core.error_log import log_internal_error
from llm_relay.core.errors import BackgroundUnavailable
from llm_relay.core.json_codec import compact
from llm_relay.jobs import response_store
from llm_relay.jobs.leases import QUEUED
from llm_relay.jobs.queue import queue_url, sqs_client
from llm_relay.streaming.responses.required_fields import complete_response
from llm_relay.validation import rules
from llm_relay.validation.fields import body_object, refuse

if TYPE_CHECKING:
    from llm_relay.core.answer import HttpAnswer
    from llm_relay.core.defaults import Document


class BackgroundAwareRelay(Relay):
    """Answers a request for a response, now or in the background."""

    def answer(self, text: bytes) -> HttpAnswer:
        """Return the provider's answer or a queued response; else a RelayError."""
        # Parse the body here only if it may contain the field: Relay.answer parses it again.
        body = body_object(text) if b'"background"' in text else {}
        rules.check(body, {"background": rules.OPTIONAL_BOOLEAN})
        if not body.get("background"):
            return super().answer(text)
        url = _queue_for(body)
        request = {name: value for name, value in body.items() if name != "background"}
        fields = {"id": new_id("resp_"), "created_at": int(time.time()), "status": QUEUED}
        document = complete_response(fields | {"background": True}, body)
        self._enqueue(url, self.validate(request), document)
        return json_success(self._call, document)

    def _enqueue(self, url: str, request: Document, document: Document) -> None:
        owner, response_id = owner_id(self._client), document["id"]
        try:
            response_store.add(self._client, request, document)
            message = compact({"owner": owner, "response": response_id}).decode()
            sqs_client().send_message(QueueUrl=url, MessageBody=message)
        except Exception as error:  # noqa: BLE001 - any failure: the provider was not called
            log_internal_error(error, self._call.request_id)
            with suppress(Exception):  # the message may have been sent nevertheless
                response_store.cancel(owner, response_id)
            raise BackgroundUnavailable(
                "The response could not be queued, and the provider was not called. Try again in "
                "a moment, or leave 'background' out and wait for the answer."
            ) from None


def _queue_for(body: Document) -> str:
    url = queue_url()
    if url is None:
        refuse("background", "is switched off here. Leave it out, and wait for the answer.")
    if body.get("stream") is True:
        refuse("stream", "is not possible with 'background'. Leave one of them out.")
    if body.get("store") is False:
        refuse("store", "must not be false with 'background'. Leave one of them out.")
    return url
