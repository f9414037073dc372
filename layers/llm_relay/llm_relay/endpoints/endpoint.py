"""The endpoints of the OpenAI API that the relay serves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from llm_relay.core.defaults import Document
    from llm_relay.providers.dialects.dialect import Dialect
    from llm_relay.providers.dialects.translation import Translation
    from llm_relay.streaming.normalizer import StreamNormalizer


class Endpoint(Protocol):
    """One endpoint: its path, checks, translation and required fields."""

    path: str

    def check_basics(self, body: Document) -> None:
        """Check the fields that billing and streaming depend on; BadRequest names the field."""

    def check_details(self, body: Document, dialect: Dialect) -> None:
        """Check fields that the dialect's provider does not check; BadRequest names the field."""

    def translate(self, translation: Translation) -> None:
        """Translate the request into the provider's dialect."""

    def stream_normalizer(self, body: Document, dialect: Dialect) -> StreamNormalizer:
        """Return the normalizer of one stream."""

    def with_required_fields(self, document: Document, body: Document) -> Document:
        """Return the answer with every field that OpenAI's types require."""


def endpoint_at(url: str) -> Endpoint | None:
    """Return the endpoint at a path such as /v1/responses; None if there is none."""
    from llm_relay.endpoints.chat import ChatCompletions  # noqa: PLC0415 - a function needs one of the two
    from llm_relay.endpoints.responses import Responses  # noqa: PLC0415 - as above

    endpoints: tuple[Endpoint, ...] = (ChatCompletions(), Responses())
    return next((each for each in endpoints if f"/v1{each.path}" == url), None)
