"""POST /v1/responses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llm_relay import responses_checks
from llm_relay.filling import Document, filled
from llm_relay.response_shape import filled_response, whole_output
from llm_relay.responses_stream import ResponsesStream

if TYPE_CHECKING:
    from llm_relay.dialect import Dialect
    from llm_relay.translation import Translation
    from llm_relay.watch import StreamWatch


class Responses:
    """The Responses endpoint."""

    path = "/responses"

    def check(self, body: Document) -> None:
        """Refuse with BadRequest what no provider could answer."""
        responses_checks.check(body)

    def translate(self, translation: Translation) -> None:
        """Put the request into the provider's dialect."""
        translation.refuse(self.path)
        translation.refuse_references()
        translation.rename_roles("input")
        translation.drop_strict(None)

    def watch(self, body: Document, dialect: Dialect) -> StreamWatch:
        """Return the watch for one stream."""
        return ResponsesStream(body, dialect)

    def whole(self, document: Document, body: Document) -> Document:
        """Return the answer with every field that OpenAI's types require."""
        whole = filled({"status": "completed"}, document) | {"output": whole_output(document)}
        return filled_response(whole, body)
