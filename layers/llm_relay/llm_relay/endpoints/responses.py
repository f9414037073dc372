"""POST /v1/responses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llm_relay.core.defaults import Document, with_defaults
from llm_relay.streaming.responses.normalizer import ResponsesNormalizer
from llm_relay.streaming.responses.required_fields import complete_output, complete_response
from llm_relay.validation import rules
from llm_relay.validation.content import RESPONSES_PARTS, check_content, check_message
from llm_relay.validation.fields import MAX_TOKENS, refuse
from llm_relay.validation.images import check_images
from llm_relay.validation.options import check_shared_options, check_text_format
from llm_relay.validation.tools import check_responses_tools, check_tool_schemas

if TYPE_CHECKING:
    from llm_relay.providers.dialects.dialect import Dialect
    from llm_relay.providers.dialects.translation import Translation
    from llm_relay.streaming.normalizer import StreamNormalizer

_INPUTS = ("input", "instructions", "prompt", "previous_response_id", "conversation")
_BASICS = {
    "model": rules.text("GET /v1/models lists the available models."),
    "input": rules.rule(
        lambda value: isinstance(value, str | list | None),
        'must be a string, or a list of items such as {"role": "user", "content": "Hello"}.',
    ),
}
_LIMITS = {"stream": rules.OPTIONAL_BOOLEAN, "max_output_tokens": rules.integer(1, MAX_TOKENS)}
_INSTRUCTIONS = rules.rule(lambda value: isinstance(value, str | list | None), "must be a string.")
_CALL = {
    "call_id": rules.text("The function's output refers to it."),
    "name": rules.text(),
    "arguments": rules.string("Send them as JSON text, not as an object."),
}
_CALL_OUTPUT = {"call_id": rules.text("Send the call_id of the function call it answers.")}
_ITEM = {"type": rules.optional(rules.text("Send 'message', or leave it out."))}


class Responses:
    """The Responses endpoint."""

    path = "/responses"

    def check_basics(self, body: Document) -> None:
        """Check the fields that billing and streaming depend on; BadRequest names the field."""
        rules.check(body, _BASICS)
        if not any(body.get(name) for name in _INPUTS):
            refuse("input", "is missing. Send a string or a list of items.")
        rules.check(body, _LIMITS)

    def check_details(self, body: Document, dialect: Dialect) -> None:
        """Check images and the schemas of tools; for a strict dialect, every known field."""
        if dialect.strict_requests:
            items = rules.objects(body, "input") if isinstance(body.get("input"), list) else []
            for path, item in items:
                _check_item(item, path)
            rules.check(body, {"instructions": _INSTRUCTIONS})
            check_responses_tools(body)
            check_text_format(body)
            check_shared_options(body)
        check_images(body)
        check_tool_schemas(body)

    def translate(self, translation: Translation) -> None:
        """Translate the request into the provider's dialect."""
        translation.reject_fields(self.path)
        translation.reject_references()
        translation.rename_roles("input")
        translation.drop_strict(None)

    def stream_normalizer(self, body: Document, dialect: Dialect) -> StreamNormalizer:
        """Return the normalizer of one stream."""
        return ResponsesNormalizer(body, dialect)

    def with_required_fields(self, document: Document, body: Document) -> Document:
        """Return the answer with every field that OpenAI's types require."""
        completed = with_defaults({"status": "completed"}, document)
        return complete_response(completed | {"output": complete_output(document)}, body)


def _check_item(item: Document, path: str) -> None:
    kind = item.get("type")
    rules.check(item, _ITEM, path)
    # Without a type, an item with an id alone refers to an earlier one.
    if kind == "message" or (kind is None and (item.get("role") is not None or "id" not in item)):
        check_message(item, path, RESPONSES_PARTS)
    elif kind == "function_call":
        rules.check(item, _CALL, path)
    elif kind == "function_call_output":
        rules.check(item, _CALL_OUTPUT, path)
        if item.get("output") != []:
            check_content(item.get("output"), f"{path}.output", RESPONSES_PARTS)
