"""POST /v1/responses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llm_relay.core.defaults import Document, with_defaults
from llm_relay.streaming.responses.normalizer import ResponsesNormalizer
from llm_relay.streaming.responses.required_fields import complete_output, complete_response
from llm_relay.validation import responses

if TYPE_CHECKING:
    from llm_relay.providers.dialects.dialect import Dialect
    from llm_relay.providers.dialects.translation import Translation
    from llm_relay.streaming.normalizer import StreamNormalizer


class Responses:
    """The Responses endpoint."""

    path = "/responses"

    def check_basics(self, body: Document) -> None:
        """Check what billing and streaming read; BadRequest for a body without it."""
        responses.check_basics(body)

    def check_details(self, body: Document, dialect: Dialect) -> None:
        """Check a body as far as the dialect's provider does not; BadRequest says what is wrong."""
        responses.check_details(body, strict=dialect.strict_requests)

    def translate(self, translation: Translation) -> None:
        """Put the request into the provider's dialect."""
        translation.reject_fields(self.path)
        translation.reject_references()
        translation.rename_roles("input")
        translation.drop_strict(None)

    def watch(self, body: Document, dialect: Dialect) -> StreamNormalizer:
        """Return the watch for one stream."""
        return ResponsesNormalizer(body, dialect)

    def whole(self, document: Document, body: Document) -> Document:
        """Return the answer with every field that OpenAI's types require."""
        whole = with_defaults({"status": "completed"}, document) | {
            "output": complete_output(document)
        }
        return complete_response(whole, body)
