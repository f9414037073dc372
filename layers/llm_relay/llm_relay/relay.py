"""Relays one request: check it, ask the provider, hand the answer on."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from functools import lru_cache, partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from llm_relay import limits
from llm_relay.admission import admit
from llm_relay.answer import Answer, error_answer
from llm_relay.catalogue import Catalogue
from llm_relay.charge import Charge
from llm_relay.checks import body_object
from llm_relay.clients import client_of
from llm_relay.deadline import Deadline
from llm_relay.documents import compact
from llm_relay.errors import MAY_BE_PAID, InternalError, PricesUnavailable, RelayError
from llm_relay.exchange import whole_answer
from llm_relay.idempotency import answer_once
from llm_relay.kept_answer import REPLAYED
from llm_relay.ledger import ledger
from llm_relay.prices import priced
from llm_relay.provider import Provider, forwarded
from llm_relay.provider_key import ProviderKey
from llm_relay.relayed_stream import RelayedStream
from llm_relay.settings import ProviderKeySettings, UpstreamSettings
from llm_relay.telemetry import Call, log_internal_error
from llm_relay.translation import Translation
from llm_relay.upstream import Reply, Upstream, UpstreamRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from llm_relay.admission import Admission
    from llm_relay.api_gateway import ApiRequest
    from llm_relay.clients import Client
    from llm_relay.endpoints import Endpoint
    from llm_relay.translation import Translated
    from llm_relay.usage import Usage

# Kept back from the function's own time, to say that the provider took all the rest.
ANSWER_SECONDS = 2.0
# A list of models that is slower than this is done without,
LISTING_SECONDS = 3.0
# unless a budget needs its prices: the first call of an environment fetches the key in that time.
PRICES_SECONDS = 20.0
PRICES_RETRY_SECONDS = 2.0
_EVENT_STREAM = "text/event-stream"
_JSON = "application/json"

Document = dict[str, Any]


@lru_cache(maxsize=1)
def provider() -> Provider:
    """Return the provider of this environment, made on first use."""
    upstream = Upstream(UpstreamSettings.from_mapping(os.environ))
    key = ProviderKey(ProviderKeySettings.from_mapping(os.environ), upstream.open_ahead)
    return Provider(upstream, key)


@lru_cache(maxsize=1)
def catalogue() -> Catalogue:
    """Return the provider's models, asked for on first use."""
    return Catalogue(provider())


def relay(
    endpoint: Endpoint, request: ApiRequest, seconds: float, kind: type[Relay] | None = None
) -> Answer:
    """Answer a request within that many seconds, whatever happens."""
    deadline = Deadline.after(seconds - ANSWER_SECONDS)

    def work(call: Call) -> Answer:
        def first() -> Answer:
            relayed = (kind or Relay)(endpoint, call, deadline, client_of(request))
            return relayed.answer(request.body())

        answer = answer_once(request, seconds, first)
        return told_again(answer, call) if REPLAYED in answer.headers else answer

    return answered(request, work)


def told_again(answer: Answer, call: Call) -> Answer:
    """Return an answer that was kept, with the headers of this call, which asked nobody."""
    call.replayed = True
    call.note_first_byte()
    call.finish(answer.status)
    return replace(answer, headers={**call.headers(), **answer.headers})


def answered(request: ApiRequest, work: Callable[[Call], Answer]) -> Answer:
    """Do the work of one request; any failure becomes an answer and is told once."""
    call = Call(route=request.route, request_id=request.request_id, client=request.client)
    try:
        return work(call)
    except RelayError as error:
        failure = error
    except Exception as error:  # noqa: BLE001 - nothing may reach the runtime, which prints it
        log_internal_error(error, call.request_id)
        failure = InternalError("The relay itself failed. Its log has the request id.")
    may_be_paid = call.effort.attempts > 0 and isinstance(failure, MAY_BE_PAID)
    call.finish(failure.status, failure.log_code, failure=failure, may_be_paid=may_be_paid)
    return error_answer(failure, call.headers())


class Relay:
    """One request on its way."""

    def __init__(self, endpoint: Endpoint, call: Call, deadline: Deadline, client: Client) -> None:
        self._endpoint = endpoint
        self._call = call
        self._client = client
        self._model = ""  # the one asked for
        call.price = self._priced
        self._deadline = deadline
        self._settings = provider().settings
        self._soon = deadline.within(self._settings.first_byte_seconds)

    def answer(self, text: bytes) -> Answer:
        """Return the provider's answer; a RelayError if there is none."""
        body = body_object(text)
        admission = self._admission(body)
        if admission.body is not body:
            body = admission.body
            text = compact(body)
        translated = self._translated(text, body)
        self._set_aside(admission.worst_nanos)
        reply = self._ask(translated)
        try:
            self._call.provider_request_id = reply.headers.get("x-request-id")
            if self._call.stream and reply.content_type != _JSON:
                return self._streamed(reply, body)
            return self._whole(reply, body)
        except BaseException:
            reply.close()
            raise

    def checked(self, body: Document) -> Document:
        """Return a request as its client may make it; a RelayError if it could not be asked."""
        admitted = self._admission(body).body
        self._translated(b"", admitted)
        return admitted

    def _admission(self, body: Document) -> Admission:
        self._endpoint.check(body)
        self._model = body["model"]
        if limits.needs_listing(body):
            limits.check(body, self._entry(self._model))
        entry = None if self._client.budget_nanos is None else self._priced_entry()
        return admit(self._client, self._endpoint.path, body, entry, self._settings.dialect)

    def _set_aside(self, worst_nanos: int) -> None:
        if self._client.budget_nanos is None:
            return
        seconds = self._deadline.remaining() + ANSWER_SECONDS
        hold = ledger().reserve(self._client, worst_nanos, time.time(), seconds)
        if hold:
            self._call.charge = Charge(ledger(), hold, self._model)

    def _translated(self, text: bytes, body: Document) -> Translated:
        translation = Translation(self._settings.dialect, text, body)
        self._endpoint.translate(translation)
        self._call.stream = body.get("stream") is True
        return translation.result()

    def _ask(self, translated: Translated) -> Reply:
        self._call.dropped = translated.dropped
        request = UpstreamRequest(
            method="POST",
            path=self._endpoint.path,
            body=translated.text,
            accept=_EVENT_STREAM if self._call.stream else _JSON,
        )
        return provider().call(request, self._soon, self._call.effort)

    def _streamed(self, reply: Reply, body: Document) -> Answer:
        stream = RelayedStream(
            reply,
            self._endpoint.watch(body, self._settings.dialect),
            self._call,
            self._deadline,
            self._settings.keep_alive_seconds,
        )
        stream.open()
        headers = {"content-type": _EVENT_STREAM, "cache-control": "no-cache"}
        return Answer(status=HTTPStatus.OK, headers=self._headers(reply, headers), body=stream)

    def _whole(self, reply: Reply, body: Document) -> Answer:
        content = self._call.effort.waiting_for(lambda: reply.whole(self._soon))
        reply.close()
        whole = whole_answer(self._endpoint, reply, content, body, self._call.effort.key)
        self._call.settle(whole.usage, whole.model)
        self._call.note_first_byte()
        self._call.finish(reply.status)
        headers = {"content-type": _JSON} | cost_header(self._call.usage)
        return Answer(status=reply.status, headers=self._headers(reply, headers), body=[whole.text])

    def _headers(self, reply: Reply, own: dict[str, str]) -> dict[str, str]:
        return own | forwarded(reply.headers) | self._call.headers()

    def _entry(self, model: str) -> Document | None:
        soon = self._deadline.within(LISTING_SECONDS)
        return self._call.effort.waiting_for(lambda: catalogue().entry(model, soon))

    def _priced_entry(self) -> Document | None:
        soon = self._deadline.within(PRICES_SECONDS)
        look = partial(catalogue().entry, self._model, soon, PRICES_RETRY_SECONDS)
        entry = self._call.effort.waiting_for(look)
        if entry is None and catalogue().is_away:
            raise PricesUnavailable(
                "The provider's prices cannot be had now, and your budget needs them, so nothing "
                "was sent. Try again in a moment."
            )
        return entry

    def _priced(self, usage: Usage, model: str | None) -> Usage:
        if usage.cost_usd is not None or usage.tokens_in is None:
            return usage
        # A provider may answer under a name that it does not list.
        return priced(usage, (self._entry(model) if model else None) or self._entry(self._model))


def cost_header(usage: Usage) -> dict[str, str]:
    """Return the header that tells what the call cost, if that is known."""
    if usage.cost_usd is None:
        return {}
    return {"x-relay-cost-usd": f"{usage.cost_usd:.10f}".rstrip("0").rstrip(".")}
