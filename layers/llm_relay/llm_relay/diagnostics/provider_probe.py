"""Asks the provider: once for its list of models, and one small question with each stored key."""

from __future__ import annotations

import json
import time
from contextlib import closing
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from llm_relay.core.defaults import objects_in, text_in
from llm_relay.core.errors import RelayError
from llm_relay.core.json_codec import parse_object
from llm_relay.diagnostics.stream_arrival import Arrival, arrival_of
from llm_relay.endpoints.chat import ChatCompletions
from llm_relay.providers.dialects.dialect import DEFAULT_MODELS
from llm_relay.providers.dialects.translation import Translation
from llm_relay.providers.redaction import redact
from llm_relay.providers.refusal import error_object
from llm_relay.transport.http_transport import HttpRequest, HttpTransport

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from llm_relay.core.deadline import Deadline
    from llm_relay.providers.dialects.dialect import Dialect
    from llm_relay.providers.settings import ProviderSettings
    from llm_relay.transport.http_transport import HttpReply

QUESTION = "Reply with: one two three four five six seven eight"
MOST_TOKENS = 16
LISTING_SECONDS = 10.0
CHAT_SECONDS = 30.0
_LONGEST_BODY_BYTES = 4 * 1024 * 1024
_LONGEST_QUOTE = 300

Document = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """What came of one question."""

    status: int = 0  # 0: there was no answer
    headers: Mapping[str, str] = field(default_factory=dict)
    document: Document = field(default_factory=dict)
    error: Document = field(default_factory=dict)  # OpenAI's error object
    arrival: Arrival | None = None  # of a stream
    failure: str = ""  # why there was no answer, or none to its end
    seconds: float = 0.0

    @property
    def is_good(self) -> bool:
        """Whether it was answered."""
        return self.status == HTTPStatus.OK and not self.failure

    @property
    def says(self) -> str:
        """What the provider says of its refusal, at no great length."""
        return text_in(self.error, "message")[:_LONGEST_QUOTE]

    @property
    def is_about_model(self) -> bool:
        """Whether the provider refuses the model, and nothing else."""
        return self.error.get("param") == "model" or "model" in self.says.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderProbe:
    """What the provider answered; `chats` has one answer for each key."""

    base_url: str
    model: str | None
    listing: ProbeResult
    chats: list[ProbeResult]

    @property
    def answers(self) -> list[ProbeResult]:
        """All that was answered, whatever the status."""
        return [asked for asked in (self.listing, *self.chats) if asked.status]

    @property
    def models(self) -> list[Document]:
        """The provider's list of models, empty if it has none."""
        return models_in(self.listing)

    @property
    def entry(self) -> Document:
        """What the list says of the model that was asked for."""
        return next((each for each in self.models if each.get("id") == self.model), {})


def probe_provider(
    settings: ProviderSettings, keys: list[str], model: str | None, deadline: Deadline
) -> ProviderProbe:
    """Ask everything; a provider that cannot be reached is asked once."""
    transport, dialect = HttpTransport(settings.transport), settings.dialect
    listing = _listing(transport, keys, deadline)
    listed = filter(None, (text_in(each, "id") for each in models_in(listing)))
    chosen = model or DEFAULT_MODELS.get(dialect.name) or next(listed, None)
    asks = chosen is not None and listing.status
    chats = [_chat(transport, dialect, key, chosen or "", deadline) for key in keys] if asks else []
    return ProviderProbe(
        base_url=settings.transport.base_url, model=chosen, listing=listing, chats=chats
    )


def small_question(model: str, *, stream: bool) -> Document:
    """Return a body that costs next to nothing."""
    return {
        "model": model,
        "messages": [{"role": "user", "content": QUESTION}],
        "max_completion_tokens": MOST_TOKENS,
        "stream": stream,
    }


def models_in(listing: ProbeResult) -> list[Document]:
    """Return the entries of a list of models, none of a list that there is not."""
    return objects_in(listing.document, "data") if listing.is_good else []


def _listing(transport: HttpTransport, keys: list[str], deadline: Deadline) -> ProbeResult:
    """Ask with one key after the other until one is accepted."""
    request = HttpRequest(method="GET", path="/models")
    for key in keys:
        asked = _ask(transport, request, key, deadline.within(LISTING_SECONDS))
        if asked.status != HTTPStatus.UNAUTHORIZED:
            break
    return asked


def _chat(
    transport: HttpTransport, dialect: Dialect, key: str, model: str, deadline: Deadline
) -> ProbeResult:
    body = small_question(model, stream=True)
    endpoint = ChatCompletions()
    translation = Translation(dialect, json.dumps(body).encode(), body)
    endpoint.translate(translation)
    request = HttpRequest(
        method="POST",
        path=endpoint.path,
        body=translation.result().text,
        accept="text/event-stream",
    )
    return _ask(transport, request, key, deadline.within(CHAT_SECONDS))


def _ask(
    transport: HttpTransport, request: HttpRequest, key: str, deadline: Deadline
) -> ProbeResult:
    """Ask once: what helps a caller, trying again, would hide a fault here."""
    started = time.monotonic()
    try:
        reply = transport.send(request, key, deadline)
    except RelayError as error:
        return ProbeResult(failure=error.message)
    seconds = time.monotonic() - started
    with closing(reply):
        try:
            told = _told(reply, key, deadline, started)
        except RelayError as error:
            told = {"failure": error.message}
    return ProbeResult(status=reply.status, headers=reply.headers, seconds=seconds, **told)


def _told(reply: HttpReply, key: str, deadline: Deadline, started: float) -> dict[str, Any]:
    if reply.content_type == "text/event-stream":
        return {"arrival": arrival_of(_pieces(reply, deadline), started)}
    text = reply.read_all(deadline, _LONGEST_BODY_BYTES)
    told = {"document": parse_object(text) or {}, "error": error_object(text) or {}}
    return {name: redact(each, key) for name, each in told.items()}


def _pieces(reply: HttpReply, deadline: Deadline) -> Iterator[bytes]:
    try:
        while piece := reply.read(deadline.remaining()):
            yield piece
    except TimeoutError:
        return  # what came in time tells enough
