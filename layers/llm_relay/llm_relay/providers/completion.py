"""Calls a provider for a buffered (not streamed) answer."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from llm_relay.core.errors import UpstreamFailed
from llm_relay.core.json_codec import compact, parse_object
from llm_relay.core.usage import Usage, usage_of
from llm_relay.providers.provider_error import error_in_success, redact
from llm_relay.transport.http_transport import HttpReply, HttpRequest

if TYPE_CHECKING:
    from llm_relay.core.deadline import Deadline
    from llm_relay.core.defaults import Document
    from llm_relay.providers.client import AttemptTracker
    from llm_relay.providers.dialects.translation import Translation
    from llm_relay.providers.provider import Provider
    from llm_relay.providers.router import ProviderRouter

_ANSWER_FIELDS = {"choices", "output"}


class CompletionEndpoint(Protocol):
    """An endpoint of the API, as far as a completion call needs to know it."""

    path: str

    def translate(self, translation: Translation) -> None:
        """Put a request into the provider's dialect."""

    def with_required_fields(self, document: Document, body: Document) -> Document:
        """Return the answer with every field that OpenAI's types require."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """An answer with every field that OpenAI's types require."""

    status: int
    text: bytes  # a JSON object, on one line if the provider's was
    document: Document
    usage: Usage  # as the provider reports it: with a cost only if it reports one
    model: str | None  # the provider's name of it
    provider_request_id: str | None
    provider: str | None = None  # the name of the one that answered, if there are several


def complete(
    providers: ProviderRouter,
    endpoint: CompletionEndpoint,
    bodies: Mapping[Provider, Document],
    deadline: Deadline,
    tracker: AttemptTracker,
) -> Completion:
    """Return the answer of the first provider that has one; RelayError if none has.

    Each provider gets its own body; those with an exhausted rate limit come last.
    """

    def call(provider: Provider, retry: bool) -> Completion:
        body = bodies[provider]
        text = provider.translate(endpoint.translate, compact(body), body).text
        model = str(body.get("model"))
        request = HttpRequest(method="POST", path=endpoint.path, model=model, body=text)
        with closing(provider.client.call(request, deadline, tracker, retry=retry)) as reply:
            content = tracker.timed(lambda: reply.read_all(deadline))
        completion = parse_completion(endpoint, reply, content, body, tracker.key)
        return replace(completion, provider=provider.name if providers.has_failover else None)

    def is_exhausted(provider: Provider) -> bool:
        return provider.client.rate_limits.is_exhausted(str(bodies[provider].get("model")))

    return providers.call_with_failover(sorted(bodies, key=is_exhausted), call)


def parse_completion(
    endpoint: CompletionEndpoint, reply: HttpReply, content: bytes, body: Document, key: str
) -> Completion:
    """Return the provider's answer, completed; RelayError if it is invalid or an error."""
    answered = parse_object(content)
    if answered is None:
        raise UpstreamFailed("The provider's answer is not a JSON object.")
    error = answered.get("error")
    if isinstance(error, dict) and not _ANSWER_FIELDS & answered.keys():
        raise error_in_success(redact(error, key))
    document = endpoint.with_required_fields(answered, body)
    return Completion(
        status=reply.status,
        text=content if document == answered else compact(document),
        document=document,
        usage=usage_of(answered),
        model=document["model"] if isinstance(document["model"], str) else None,
        provider_request_id=reply.headers.get("x-request-id"),
    )
