"""Sends the provider one request for its models, and one small chat request with each key."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import TYPE_CHECKING

from llm_relay.core.defaults import Document, objects_in, text_in
from llm_relay.core.errors import RelayError
from llm_relay.core.json_codec import parse_object
from llm_relay.diagnostics.measurements import StreamTiming, measure_stream
from llm_relay.endpoints.chat import ChatCompletions
from llm_relay.providers.dialects.dialect import DEFAULT_MODELS, Dialect
from llm_relay.providers.dialects.translation import Translation
from llm_relay.providers.provider_error import error_object, redact
from llm_relay.transport.http_transport import HttpReply, HttpRequest, HttpTransport

if TYPE_CHECKING:
    from llm_relay.core.deadline import Deadline
    from llm_relay.providers.settings import ProviderSettings

_PROMPT = "Reply with: one two three four five six seven eight"
_MAX_TOKENS = 16
_LISTING_TIMEOUT_SECONDS = 10.0
_CHAT_TIMEOUT_SECONDS = 30.0
_MAX_BODY_BYTES = 4 * 1024 * 1024
_MAX_QUOTE_LENGTH = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """The outcome of one request."""

    status: int = 0  # 0: no answer
    headers: Mapping[str, str] = field(default_factory=dict)
    document: Document = field(default_factory=dict)
    error: Document = field(default_factory=dict)  # OpenAI's error object
    timing: StreamTiming | None = None  # of a stream
    failure: str = ""  # why there is no complete answer
    seconds: float = 0.0

    @property
    def is_success(self) -> bool:
        """Whether the request was answered in full."""
        return self.status == HTTPStatus.OK and not self.failure

    @property
    def error_message(self) -> str:
        """The provider's error message, shortened."""
        return text_in(self.error, "message")[:_MAX_QUOTE_LENGTH]

    @property
    def is_about_model(self) -> bool:
        """Whether the provider refuses the model and nothing else."""
        return self.error.get("param") == "model" or "model" in self.error_message.lower()

    @property
    def models(self) -> list[Document]:
        """The models in an answer that lists them."""
        return objects_in(self.document, "data") if self.is_success else []


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderProbe:
    """The outcomes of all requests; `chats` has one for each key."""

    base_url: str
    model: str | None
    listing: ProbeResult
    chats: list[ProbeResult]

    @property
    def answers(self) -> list[ProbeResult]:
        """All requests that were answered, with any status."""
        return [result for result in (self.listing, *self.chats) if result.status]


def probe_provider(
    settings: ProviderSettings, keys: list[str], model: str | None, deadline: Deadline
) -> ProviderProbe:
    """Send all requests; only the first if the provider cannot be reached."""
    transport, dialect = HttpTransport(settings.transport), settings.dialect
    listing = _list_models(transport, keys, deadline)
    listed = filter(None, (text_in(entry, "id") for entry in listing.models))
    if names := settings.models:
        model = names.get(model or "") or next(iter(names.values()))
    model = model or DEFAULT_MODELS.get(dialect.name) or next(listed, None)
    chats: list[ProbeResult] = []
    if model is not None and listing.status:
        request = _chat_request(dialect, model)
        for key in keys:
            chats.append(_send(transport, request, key, deadline.within(_CHAT_TIMEOUT_SECONDS)))
    base_url = settings.transport.base_url
    return ProviderProbe(base_url=base_url, model=model, listing=listing, chats=chats)


def small_chat_body(model: str, *, stream: bool) -> Document:
    """Return the body of a chat request that costs next to nothing."""
    return {
        "model": model,
        "messages": [{"role": "user", "content": _PROMPT}],
        "max_completion_tokens": _MAX_TOKENS,
        "stream": stream,
    }


def _list_models(transport: HttpTransport, keys: list[str], deadline: Deadline) -> ProbeResult:
    """Return the first answer that is not 401, trying each key; else the last answer."""
    request = HttpRequest(method="GET", path="/models")
    for key in keys:
        result = _send(transport, request, key, deadline.within(_LISTING_TIMEOUT_SECONDS))
        if result.status != HTTPStatus.UNAUTHORIZED:
            break
    return result


def _chat_request(dialect: Dialect, model: str) -> HttpRequest:
    body = small_chat_body(model, stream=True)
    translation = Translation(dialect, json.dumps(body).encode(), body)
    endpoint = ChatCompletions()
    endpoint.translate(translation)
    text = translation.text
    return HttpRequest(method="POST", path=endpoint.path, body=text, accept="text/event-stream")


def _send(
    transport: HttpTransport, request: HttpRequest, key: str, deadline: Deadline
) -> ProbeResult:
    """Send a request once: a retry would hide a fault."""
    started, result = time.monotonic(), ProbeResult()
    try:
        with closing(transport.send(request, key, deadline)) as reply:
            seconds = time.monotonic() - started
            result = ProbeResult(status=reply.status, headers=reply.headers, seconds=seconds)
            if reply.content_type == "text/event-stream":
                return replace(result, timing=measure_stream(_pieces(reply, deadline), started))
            text = reply.read_all(deadline, _MAX_BODY_BYTES)
            document, error = parse_object(text) or {}, error_object(text) or {}
            return replace(result, document=redact(document, key), error=redact(error, key))
    except RelayError as failure:
        return replace(result, failure=failure.message)


def _pieces(reply: HttpReply, deadline: Deadline) -> Iterator[bytes]:
    with suppress(TimeoutError):  # the pieces so far suffice
        while piece := reply.read(deadline.remaining()):
            yield piece
