"""One question to the provider that is answered whole."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from llm_relay.core.errors import UpstreamFailed
from llm_relay.core.json_codec import compact, parse_object
from llm_relay.core.usage import Usage, usage_of
from llm_relay.providers.redaction import redacted
from llm_relay.streaming.streaming_body import refusal_in
from llm_relay.transport.http_transport import HttpRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llm_relay.core.deadline import Deadline
    from llm_relay.endpoints.endpoint import Endpoint
    from llm_relay.providers.client import AttemptTracker
    from llm_relay.providers.provider import Provider
    from llm_relay.providers.router import ProviderRouter
    from llm_relay.transport.http_transport import HttpReply

_ANSWER_FIELDS = ("choices", "output", "data")

Document = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """An answer with every field that OpenAI's types require."""

    status: int
    text: bytes  # a JSON object, on one line if the provider's was
    document: Document
    usage: Usage  # as the provider tells it: priced only if it does that itself
    model: str | None  # as the provider names it
    provider_request_id: str | None
    provider: str | None = None  # which one it is, where there are several


class CompletionCall:
    """An endpoint of the providers, asked for answers that are no streams."""

    def __init__(self, providers: ProviderRouter, endpoint: Endpoint) -> None:
        self._providers = providers
        self._endpoint = endpoint

    def ask(
        self, bodies: Mapping[Provider, Document], deadline: Deadline, effort: AttemptTracker
    ) -> Completion:
        """Return the answer of the first of these providers that has one; else a RelayError.

        Each gets its own body; one without a request left is asked last.
        """

        def asked(source: Provider, waits: bool) -> Completion:
            body = bodies[source]
            translated = source.translated(self._endpoint, compact(body), body)
            request = HttpRequest(
                method="POST",
                path=self._endpoint.path,
                model=str(body.get("model")),
                body=translated.text,
            )
            reply = source.provider.call(request, deadline, effort, waits=waits)
            try:
                content = effort.waiting_for(lambda: reply.read_all(deadline))
            finally:
                reply.close()
            whole = completion_of(self._endpoint, reply, content, body, effort.key)
            return replace(whole, provider=source.name) if self._providers.are_many else whole

        def is_spent(source: Provider) -> bool:
            return source.provider.rate_limits.is_exhausted(str(bodies[source].get("model")))

        return self._providers.ask(sorted(bodies, key=is_spent), asked)


def completion_of(
    endpoint: Endpoint, reply: HttpReply, content: bytes, body: Document, key: str
) -> Completion:
    """Return the provider's answer, completed; a RelayError if it is none."""
    document = parsed_answer(content, key)
    whole = endpoint.whole(document, body)
    text = content if whole == document else compact(whole)
    return Completion(
        status=reply.status,
        text=text,
        document=whole,
        usage=usage_of(document),
        model=whole["model"] if isinstance(whole["model"], str) else None,
        provider_request_id=reply.headers.get("x-request-id"),
    )


def parsed_answer(text: bytes, key: str) -> Document:
    """Return the provider's answer, parsed; a RelayError if it is broken or a hidden refusal."""
    document = parse_object(text)
    if document is None:
        raise UpstreamFailed("The provider's answer is not a JSON object.")
    error = document.get("error")
    if isinstance(error, dict) and not any(name in document for name in _ANSWER_FIELDS):
        raise refusal_in(redacted(error, key))
    return document
