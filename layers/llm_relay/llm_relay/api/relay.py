"""Relays one request: validates it, reserves its cost, calls a provider and returns its answer."""

from __future__ import annotations

import os
import time
from functools import lru_cache, partial
from http import HTTPStatus
from typing import TYPE_CHECKING

from llm_relay.api.api_gateway import ApiRequest, client_of, finish_with, handle_request
from llm_relay.api.idempotency.records import answer_once
from llm_relay.api.idempotency.stored_answer import REPLAYED_HEADER
from llm_relay.billing.admission import Admission, admit, merge_admissions
from llm_relay.billing.cost import with_cost
from llm_relay.billing.ledger import Settlement, ledger
from llm_relay.core.answer import HttpAnswer
from llm_relay.core.deadline import REPLY_RESERVE_SECONDS, Deadline
from llm_relay.core.errors import InternalError
from llm_relay.core.json_codec import compact
from llm_relay.providers.completion import parse_completion
from llm_relay.providers.provider_error import forwarded_headers
from llm_relay.providers.router import ProviderRouter
from llm_relay.providers.settings import provider_settings
from llm_relay.streaming.streaming_body import StreamingBody
from llm_relay.transport.http_transport import HttpReply, HttpRequest
from llm_relay.validation import model_limits
from llm_relay.validation.fields import body_object

if TYPE_CHECKING:
    from llm_relay.core.client import Client
    from llm_relay.core.defaults import Document
    from llm_relay.core.usage import Usage
    from llm_relay.endpoints.endpoint import Endpoint
    from llm_relay.observability.call_record import CallRecord
    from llm_relay.providers.dialects.translation import Translation
    from llm_relay.providers.provider import Provider

# For a model list that only checks limits or adds a cost: without it, the call goes on.
LISTING_TIMEOUT_SECONDS = 3.0
# Timeout, and pause before the next try, for prices that a budget needs: the first call of an
# environment fetches the provider's key in that time. Shorter if another provider can be called.
_PRICES_SECONDS = (20.0, 2.0)
_FAILOVER_PRICES_SECONDS = (5.0, 15.0)
_EVENT_STREAM = "text/event-stream"
_JSON = "application/json"


@lru_cache(maxsize=1)
def provider_router() -> ProviderRouter:
    """Return the providers of this environment, made on first use."""
    try:
        return ProviderRouter(provider_settings(os.environ))
    except ValueError as error:
        raise InternalError(
            f"The relay's settings are wrong: {error}. The operator of this endpoint must fix them."
        ) from None


class Relay:
    """Relays one request within the limits of its client."""

    def __init__(
        self, endpoint: Endpoint, call: CallRecord, deadline: Deadline, client: Client
    ) -> None:
        self._endpoint = endpoint
        self._call = call
        self._client = client
        self._deadline = deadline
        self._settings = provider_router().settings
        self._first_byte_deadline = deadline.within(self._settings.first_byte_seconds)
        self._model = ""  # as requested
        self._requests: dict[Provider, tuple[Translation, Document]] = {}

    def answer(self, text: bytes) -> HttpAnswer:
        """Return the provider's answer; a RelayError if there is none."""
        body = body_object(text)
        self._call.stream = body.get("stream") is True
        admission = self._admit(text, body)
        self._reserve(admission.max_cost_nanos)
        answer = provider_router().call_with_failover(tuple(admission.bodies), self._call_provider)
        if not isinstance(answer.body, StreamingBody):  # a stream finishes the record at its end
            self._call.finish(answer.status)
        return answer

    def validate(self, body: Document) -> Document:
        """Return the body as its client may send it; a RelayError if it may not."""
        return self._admit(b"", body).body

    def _admit(self, text: bytes, body: Document) -> Admission:
        self._endpoint.check_basics(body)
        self._model = body["model"]
        admissions = provider_router().accepting(self._model, partial(self._admit_to, text, body))
        return merge_admissions(admissions)

    def _admit_to(self, text: bytes, body: Document, provider: Provider) -> Admission:
        self._endpoint.check_details(body, provider.dialect)
        if model_limits.applies_to(body):
            model_limits.check(body, self._listed_model(provider))
        entry = None if self._client.budget_nanos is None else self._priced_model(provider)
        admission = admit(self._client, self._endpoint.path, body, entry, provider.dialect)
        if admission.body is not body:
            text = compact(admission.body)
        translated = provider.translate(self._endpoint.translate, text, admission.body)
        self._requests[provider] = (translated, admission.body)
        return admission

    def _reserve(self, max_cost_nanos: int) -> None:
        if self._client.budget_nanos is None:
            return
        seconds = self._deadline.remaining() + REPLY_RESERVE_SECONDS
        reservation = ledger().reserve(self._client, max_cost_nanos, time.time(), seconds)
        if reservation:
            self._call.settlement = Settlement(ledger(), reservation, self._model)

    def _call_provider(self, provider: Provider, retry: bool) -> HttpAnswer:
        translated, body = self._requests[provider]
        self._call.dropped = translated.dropped
        self._call.price = partial(self._priced, provider)
        request = HttpRequest(
            method="POST",
            path=self._endpoint.path,
            body=translated.text,
            model=self._model,
            accept=_EVENT_STREAM if self._call.stream else _JSON,
        )
        tracker = self._call.tracker
        reply = provider.client.call(request, self._first_byte_deadline, tracker, retry=retry)
        try:
            self._call.provider_request_id = reply.headers.get("x-request-id")
            if self._call.stream and reply.content_type != _JSON:
                return self._streamed_answer(reply, provider, body)
            return self._buffered_answer(reply, body)
        except BaseException:
            reply.close()
            raise

    def _streamed_answer(self, reply: HttpReply, provider: Provider, body: Document) -> HttpAnswer:
        normalizer = self._endpoint.stream_normalizer(body, provider.dialect)
        keep_alive = self._settings.keep_alive_seconds
        stream = StreamingBody(reply, normalizer, self._call, self._deadline, keep_alive)
        stream.open()
        headers = {"content-type": _EVENT_STREAM, "cache-control": "no-cache"}
        return HttpAnswer(status=HTTPStatus.OK, headers=self._headers(reply, headers), body=stream)

    def _buffered_answer(self, reply: HttpReply, body: Document) -> HttpAnswer:
        tracker = self._call.tracker
        content = tracker.timed(lambda: reply.read_all(self._first_byte_deadline))
        reply.close()
        completion = parse_completion(self._endpoint, reply, content, body, tracker.key)
        self._call.record_usage(completion.usage, completion.model)
        self._call.mark_first_byte()
        headers = self._headers(reply, {"content-type": _JSON} | _cost_header(self._call.usage))
        return HttpAnswer(status=reply.status, headers=headers, body=[completion.text])

    def _headers(self, reply: HttpReply, own: dict[str, str]) -> dict[str, str]:
        return own | forwarded_headers(reply.headers) | self._call.headers()

    def _listed_model(self, provider: Provider) -> Document | None:
        deadline = self._deadline.within(LISTING_TIMEOUT_SECONDS)
        return self._call.tracker.timed(lambda: provider.model_entry(self._model, deadline))

    def _priced_model(self, provider: Provider) -> Document | None:
        has_failover = provider_router().has_failover
        seconds, retry_seconds = _FAILOVER_PRICES_SECONDS if has_failover else _PRICES_SECONDS
        deadline = self._deadline.within(seconds)
        return self._call.tracker.timed(
            lambda: provider.priced_entry(self._model, deadline, retry_seconds)
        )

    def _priced(self, provider: Provider, usage: Usage, model: str | None) -> Usage:
        if usage.cost_usd is not None or usage.tokens_in is None:
            return usage
        deadline = self._deadline.within(LISTING_TIMEOUT_SECONDS)
        return with_cost(usage, provider.answer_entry(model, self._model, deadline))


def relay_request(
    endpoint: Endpoint, request: ApiRequest, seconds: float, relay_class: type[Relay] = Relay
) -> HttpAnswer:
    """Answer a request within that many seconds; failures become error answers."""
    deadline = Deadline.after(seconds - REPLY_RESERVE_SECONDS)

    def relayed(call: CallRecord) -> HttpAnswer:
        relay = relay_class(endpoint, call, deadline, client_of(request))
        return relay.answer(request.body())

    def work(call: CallRecord) -> HttpAnswer:
        answer = answer_once(request, seconds, partial(relayed, call))
        call.replayed = REPLAYED_HEADER in answer.headers
        return finish_with(call, answer) if call.replayed else answer

    return handle_request(request, work)


def _cost_header(usage: Usage) -> dict[str, str]:
    if usage.cost_usd is None:
        return {}
    return {"x-relay-cost-usd": f"{usage.cost_usd:.10f}".rstrip("0").rstrip(".")}
