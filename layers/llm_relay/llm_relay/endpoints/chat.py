"""POST /v1/chat/completions."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Any

from llm_relay.core.defaults import Document, object_in, objects_in, with_defaults
from llm_relay.streaming.chat import ChatNormalizer
from llm_relay.validation import rules
from llm_relay.validation.content import CHAT_PARTS, check_message
from llm_relay.validation.fields import MAX_TOKENS, refuse
from llm_relay.validation.images import check_images
from llm_relay.validation.options import check_chat_options, check_response_format
from llm_relay.validation.tools import check_chat_tools, check_tool_schemas

if TYPE_CHECKING:
    from llm_relay.providers.dialects.dialect import Dialect
    from llm_relay.providers.dialects.translation import Translation
    from llm_relay.streaming.normalizer import StreamNormalizer

_BASICS = {
    "model": rules.text("GET /v1/models lists the available models."),
    "messages": rules.rule(
        lambda value: isinstance(value, list) and value,
        'must be a non-empty list of objects such as {"role": "user", "content": "Hello"}.',
    ),
    "stream": rules.OPTIONAL_BOOLEAN,
    "max_tokens": rules.integer(1, MAX_TOKENS),
    "max_completion_tokens": rules.integer(1, MAX_TOKENS),
    "n": rules.integer(1, 128),
}
_CALL = rules.object_with(
    '{"name": "get_weather", "arguments": "{}"}',
    name=rules.text(),
    arguments=rules.string("Send the arguments as JSON text, not as an object."),
)
_MESSAGE = {"name": rules.OPTIONAL_STRING}
_TOOL_MESSAGE = _MESSAGE | {
    "tool_call_id": rules.text("Send the 'id' of the tool call that this message answers.")
}
_TOOL_CALL = {"id": rules.text("The tool's answer refers to it.")}


class ChatCompletions:
    """The chat completions endpoint."""

    path = "/chat/completions"

    def check_basics(self, body: Document) -> None:
        """Check the fields that billing and streaming depend on; BadRequest names the field."""
        rules.check(body, _BASICS)

    def check_details(self, body: Document, dialect: Dialect) -> None:
        """Check images and the schemas of tools; for a strict dialect, every known field."""
        if dialect.strict_requests:
            for index, message in enumerate(body["messages"]):
                _check_message(message, f"messages[{index}]")
            check_chat_tools(body)
            check_response_format(body)
            check_chat_options(body)
        check_images(body)
        check_tool_schemas(body)

    def translate(self, translation: Translation) -> None:
        """Translate the request into the provider's dialect."""
        translation.reject_fields(self.path)
        translation.rename_fields()
        translation.drop_unknown_fields()
        translation.rename_roles("messages")
        translation.drop_strict("function")
        translation.request_usage()

    def stream_normalizer(self, body: Document, _dialect: Dialect) -> StreamNormalizer:
        """Return the normalizer of one stream."""
        wants_usage = bool(object_in(body, "stream_options").get("include_usage"))
        return ChatNormalizer(body["model"], wants_usage=wants_usage, choices=body.get("n") or 1)

    def with_required_fields(self, document: Document, body: Document) -> Document:
        """Return the answer with every field that OpenAI's types require."""
        defaults = {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": body["model"],
        }
        choices = enumerate(objects_in(document, "choices"))
        completed = [_complete_choice(index, choice) for index, choice in choices]
        return with_defaults(defaults, document) | {"choices": completed}


def _complete_choice(index: int, choice: Document) -> Document:
    message = object_in(choice, "message")
    reason = "tool_calls" if message.get("tool_calls") else "stop"
    completed = with_defaults({"role": "assistant", "content": None}, message)
    return with_defaults({"index": index, "finish_reason": reason}, choice) | {"message": completed}


def _check_message(message: Any, path: str) -> None:
    if not isinstance(message, dict):
        refuse(path, "must be an object with 'role' and 'content'.")
    check_message(message, path, CHAT_PARTS)
    rules.check(message, _TOOL_MESSAGE if message["role"] == "tool" else _MESSAGE, path)
    if message["role"] == "assistant":
        for at, call in rules.objects(message, "tool_calls", path):
            rules.check(call, _TOOL_CALL, at)
            # Calls of custom tools have another shape.
            if call.get("type") in (None, "function"):
                _CALL(call.get("function"), f"{at}.function")
        if message.get("function_call") is not None:
            _CALL(message["function_call"], f"{path}.function_call")
