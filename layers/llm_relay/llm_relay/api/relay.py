"""Relays one request: check it, ask the provider, hand the answer on."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from llm_relay.api.client_context import client_of
from llm_relay.api.idempotency.records import answer_once
from llm_relay.api.idempotency.stored_answer import REPLAYED_HEADER
from llm_relay.billing.admission import admit, merge_admissions
from llm_relay.billing.ledger import ledger
from llm_relay.billing.prices import with_cost
from llm_relay.billing.settlement import Settlement
from llm_relay.core.answer import HttpAnswer, error_answer
from llm_relay.core.deadline import Deadline
from llm_relay.core.error_log import log_internal_error
from llm_relay.core.errors import POSSIBLY_BILLED, InternalError, RelayError
from llm_relay.core.json_codec import compact
from llm_relay.observability.call_record import CallRecord
from llm_relay.providers.completion import parse_completion
from llm_relay.providers.refusal import forwarded_headers
from llm_relay.providers.router import ProviderRouter, router_from
from llm_relay.streaming.streaming_body import StreamingBody
from llm_relay.transport.http_transport import HttpReply, HttpRequest
from llm_relay.validation import model_limits
from llm_relay.validation.fields import body_object

if TYPE_CHECKING:
    from collections.abc import Callable

    from llm_relay.api.api_gateway import ApiRequest
    from llm_relay.billing.admission import Admission
    from llm_relay.core.client import Client
    from llm_relay.core.usage import Usage
    from llm_relay.endpoints.endpoint import Endpoint
    from llm_relay.providers.dialects.translation import TranslatedRequest
    from llm_relay.providers.provider import Provider

# Kept back from the function's own time, to say that the provider took all the rest.
REPLY_RESERVE_SECONDS = 2.0
# A list of models that is slower than this is done without,
LISTING_TIMEOUT_SECONDS = 3.0
# unless a budget needs its prices: the first call of an environment fetches the key in that time.
# The second number is how long nobody asks again. Another provider may stand in for one without.
PRICES = (20.0, 2.0)
STAND_IN_PRICES = (5.0, 15.0)
_EVENT_STREAM = "text/event-stream"
_JSON = "application/json"

Document = dict[str, Any]


@lru_cache(maxsize=1)
def provider_router() -> ProviderRouter:
    """Return the providers of this environment, made on first use."""
    try:
        return router_from(os.environ)
    except ValueError as error:
        raise InternalError(
            f"The relay's settings are wrong: {error}. Whoever runs this endpoint has to mend them."
        ) from None


def relay_request(
    endpoint: Endpoint, request: ApiRequest, seconds: float, kind: type[Relay] | None = None
) -> HttpAnswer:
    """Answer a request within that many seconds, whatever happens."""
    deadline = Deadline.after(seconds - REPLY_RESERVE_SECONDS)

    def work(call: CallRecord) -> HttpAnswer:
        def first() -> HttpAnswer:
            relayed = (kind or Relay)(endpoint, call, deadline, client_of(request))
            return relayed.answer(request.body())

        answer = answer_once(request, seconds, first)
        return replay(answer, call) if REPLAYED_HEADER in answer.headers else answer

    return handle_request(request, work)


def replay(answer: HttpAnswer, call: CallRecord) -> HttpAnswer:
    """Return an answer that was kept, with the headers of this call, which asked nobody."""
    call.replayed = True
    call.mark_first_byte()
    call.finish(answer.status)
    return replace(answer, headers={**call.headers(), **answer.headers})


def handle_request(request: ApiRequest, work: Callable[[CallRecord], HttpAnswer]) -> HttpAnswer:
    """Do the work of one request; any failure becomes an answer and is told once."""
    call = CallRecord(route=request.route, request_id=request.request_id, client=request.api_key_id)
    try:
        return work(call)
    except RelayError as error:
        failure = error
    except Exception as error:  # noqa: BLE001 - nothing may reach the runtime, which prints it
        log_internal_error(error, call.request_id)
        failure = InternalError("The relay itself failed. Its log has the request id.")
    call.tracker.provider = failure.provider or call.tracker.provider
    possibly_billed = call.tracker.attempts > 0 and isinstance(failure, POSSIBLY_BILLED)
    call.finish(failure.status, failure.code, failure=failure, possibly_billed=possibly_billed)
    return error_answer(failure, call.headers())


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderRequest:
    """A request as one provider gets it, and as its caller may make it."""

    translated: TranslatedRequest
    body: Document


class Relay:
    """One request on its way."""

    def __init__(
        self, endpoint: Endpoint, call: CallRecord, deadline: Deadline, client: Client
    ) -> None:
        self._endpoint = endpoint
        self._call = call
        self._client = client
        self._model = ""  # the one asked for
        self._questions: dict[str, ProviderRequest] = {}  # by the names of the providers
        self._deadline = deadline
        self._settings = provider_router().settings
        self._soon = deadline.within(self._settings.first_byte_seconds)

    def answer(self, text: bytes) -> HttpAnswer:
        """Return the provider's answer; a RelayError if there is none."""
        body = body_object(text)
        self._call.stream = body.get("stream") is True
        admission = self._admission(text, body)
        self._set_aside(admission.max_cost_nanos)
        return _finished(provider_router().first_answer(admission.providers, self._ask), self._call)

    def validate(self, body: Document) -> Document:
        """Return a request as its client may make it; a RelayError if it could not be asked."""
        return self._admission(b"", body).body

    def _admission(self, text: bytes, body: Document) -> Admission:
        self._endpoint.check(body)
        self._model = body["model"]
        admit_at = partial(self._admitted, text, body)
        return merge_admissions(provider_router().accepting(self._model, admit_at))

    def _admitted(self, text: bytes, body: Document, source: Provider) -> Admission:
        if model_limits.needs_listing(body):
            model_limits.check(body, self._entry(source))
        entry = None if self._client.budget_nanos is None else self._priced_entry(source)
        admission = admit(self._client, self._endpoint.path, body, entry, source.dialect)
        if admission.body is not body:
            text = compact(admission.body)
        translated = source.translate(self._endpoint.translate, text, admission.body)
        self._questions[source.name] = ProviderRequest(translated=translated, body=admission.body)
        return admission

    def _set_aside(self, max_cost_nanos: int) -> None:
        if self._client.budget_nanos is None:
            return
        seconds = self._deadline.remaining() + REPLY_RESERVE_SECONDS
        hold = ledger().reserve(self._client, max_cost_nanos, time.time(), seconds)
        if hold:
            self._call.settlement = Settlement(ledger(), hold, self._model)

    def _ask(self, source: Provider, retry: bool) -> HttpAnswer:
        """Return one provider's answer, as soon as there is something of it to hand on."""
        question = self._questions[source.name]
        self._call.dropped = question.translated.dropped
        self._call.price = partial(self._priced, source)
        request = HttpRequest(
            method="POST",
            path=self._endpoint.path,
            body=question.translated.text,
            model=self._model,
            accept=_EVENT_STREAM if self._call.stream else _JSON,
        )
        reply = source.client.call(request, self._soon, self._call.tracker, retry=retry)
        try:
            self._call.provider_request_id = reply.headers.get("x-request-id")
            if self._call.stream and reply.content_type != _JSON:
                return self._streamed(reply, source, question.body)
            return self._whole(reply, question.body)
        except BaseException:
            reply.close()
            raise

    def _streamed(self, reply: HttpReply, source: Provider, body: Document) -> HttpAnswer:
        stream = StreamingBody(
            reply,
            self._endpoint.watch(body, source.dialect),
            self._call,
            self._deadline,
            self._settings.keep_alive_seconds,
        )
        stream.open()
        headers = {"content-type": _EVENT_STREAM, "cache-control": "no-cache"}
        return HttpAnswer(status=HTTPStatus.OK, headers=self._headers(reply, headers), body=stream)

    def _whole(self, reply: HttpReply, body: Document) -> HttpAnswer:
        content = self._call.tracker.timed(lambda: reply.read_all(self._soon))
        reply.close()
        whole = parse_completion(self._endpoint, reply, content, body, self._call.tracker.key)
        self._call.record_usage(whole.usage, whole.model)
        self._call.mark_first_byte()
        headers = {"content-type": _JSON} | cost_header(self._call.usage)
        return HttpAnswer(
            status=reply.status, headers=self._headers(reply, headers), body=[whole.text]
        )

    def _headers(self, reply: HttpReply, own: dict[str, str]) -> dict[str, str]:
        return own | forwarded_headers(reply.headers) | self._call.headers()

    def _entry(self, source: Provider) -> Document | None:
        soon = self._deadline.within(LISTING_TIMEOUT_SECONDS)
        return self._call.tracker.timed(lambda: source.model_entry(self._model, soon))

    def _priced_entry(self, source: Provider) -> Document | None:
        seconds, retry_seconds = STAND_IN_PRICES if provider_router().are_many else PRICES
        soon = self._deadline.within(seconds)
        look = partial(source.priced_entry, self._model, soon, retry_seconds)
        return self._call.tracker.timed(look)

    def _priced(self, source: Provider, usage: Usage, model: str | None) -> Usage:
        if usage.cost_usd is not None or usage.tokens_in is None:
            return usage
        soon = self._deadline.within(LISTING_TIMEOUT_SECONDS)
        return with_cost(usage, source.answer_entry(model, self._model, soon))


def _finished(answer: HttpAnswer, call: CallRecord) -> HttpAnswer:
    """Tell of an answer that is handed on; a stream tells of itself at its end."""
    if not isinstance(answer.body, StreamingBody):
        call.finish(answer.status)
    return answer


def cost_header(usage: Usage) -> dict[str, str]:
    """Return the header that tells what the call cost, if that is known."""
    if usage.cost_usd is None:
        return {}
    return {"x-relay-cost-usd": f"{usage.cost_usd:.10f}".rstrip("0").rstrip(".")}
