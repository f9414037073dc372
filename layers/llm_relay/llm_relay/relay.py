"""Relays one request: check it, ask the provider, hand the answer on."""

from __future__ import annotations

import os
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol

from llm_relay.answer import Answer, error_answer
from llm_relay.checks import body_object
from llm_relay.deadline import Deadline
from llm_relay.documents import parse_object
from llm_relay.errors import InternalError, RelayError, UpstreamBroke
from llm_relay.provider import Provider, forwarded
from llm_relay.provider_key import ProviderKey
from llm_relay.relayed_stream import RelayedStream, refusal_in
from llm_relay.settings import ProviderKeySettings, UpstreamSettings
from llm_relay.telemetry import Call, log_internal_error
from llm_relay.upstream import Reply, Upstream, UpstreamRequest
from llm_relay.usage import usage_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from llm_relay.api_gateway import ApiRequest
    from llm_relay.watch import StreamWatch

# Kept back from the function's own time, to say that the provider took all the rest.
ANSWER_SECONDS = 2.0
_EVENT_STREAM = "text/event-stream"
_ANSWER_FIELDS = ("choices", "output", "data")


class Endpoint(Protocol):
    """What the relay must know of an endpoint."""

    path: str

    def check(self, body: dict[str, Any]) -> None:
        """Refuse with BadRequest what no provider could answer."""

    def watch(self) -> StreamWatch:
        """Return the watch for one stream."""


@lru_cache(maxsize=1)
def provider() -> Provider:
    """Return the provider of this environment, made on first use."""
    return Provider(
        Upstream(UpstreamSettings.from_mapping(os.environ)),
        ProviderKey(ProviderKeySettings.from_mapping(os.environ)),
    )


def relay(endpoint: Endpoint, request: ApiRequest, seconds: float) -> Answer:
    """Answer a request within that many seconds, whatever happens."""
    return answered(request, lambda call: _relay(endpoint, request, seconds, call))


def answered(request: ApiRequest, work: Callable[[Call], Answer]) -> Answer:
    """Do the work of one request; any failure becomes an answer and is told once."""
    call = Call(route=request.route, request_id=request.request_id, client=request.client)
    try:
        return work(call)
    except RelayError as error:
        failure = error
    except Exception as error:  # noqa: BLE001 - nothing may reach the runtime, which prints it
        log_internal_error(error)
        failure = InternalError("The relay itself failed. Its log has the request id.")
    call.finish(failure.status, failure.code or getattr(failure, "provider_code", None))
    return error_answer(failure, call.headers())


def _relay(endpoint: Endpoint, request: ApiRequest, seconds: float, call: Call) -> Answer:
    text = request.body()
    body = body_object(text)
    endpoint.check(body)
    call.stream = body.get("stream") is True
    deadline = Deadline.after(seconds - ANSWER_SECONDS)
    soon = deadline.within(provider().settings.first_byte_seconds)
    accept = _EVENT_STREAM if call.stream else "application/json"
    upstream_request = UpstreamRequest(method="POST", path=endpoint.path, body=text, accept=accept)
    reply = provider().call(upstream_request, soon, call.effort)
    try:
        call.provider_request_id = reply.headers.get("x-request-id")
        if call.stream and reply.content_type == _EVENT_STREAM:
            return _streamed(reply, endpoint.watch(), call, deadline)
        return _whole(reply, call, soon)
    except BaseException:
        reply.close()
        raise


def _streamed(reply: Reply, watch: StreamWatch, call: Call, deadline: Deadline) -> Answer:
    keep_alive_seconds = provider().settings.keep_alive_seconds
    stream = RelayedStream(reply, watch, call, deadline, keep_alive_seconds)
    stream.open()
    headers = {"content-type": _EVENT_STREAM, "cache-control": "no-cache"}
    return Answer(
        status=HTTPStatus.OK,
        headers=headers | forwarded(reply.headers) | call.headers(),
        body=stream,
    )


def _whole(reply: Reply, call: Call, deadline: Deadline) -> Answer:
    text = call.effort.waiting_for(lambda: reply.whole(deadline))
    reply.close()
    document = answer_in(text)
    call.model = document["model"] if isinstance(document.get("model"), str) else None
    call.usage = usage_of(document)
    call.note_first_byte()
    call.finish(reply.status)
    headers = {"content-type": "application/json"} | forwarded(reply.headers) | call.headers()
    return Answer(status=reply.status, headers=headers, body=[text])


def answer_in(text: bytes) -> dict[str, Any]:
    """Return the provider's answer, parsed; a RelayError if it is broken or a hidden refusal."""
    document = parse_object(text)
    if document is None:
        raise UpstreamBroke("The provider's answer is not a JSON object.")
    error = document.get("error")
    if isinstance(error, dict) and not any(name in document for name in _ANSWER_FIELDS):
        raise refusal_in(error)
    return document
