"""POST /v1/chat/completions."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING

from llm_relay.core.defaults import Document, object_in, objects_in, with_defaults
from llm_relay.streaming.chat import ChatNormalizer
from llm_relay.validation import chat

if TYPE_CHECKING:
    from llm_relay.providers.dialects.dialect import Dialect
    from llm_relay.providers.dialects.translation import Translation
    from llm_relay.streaming.normalizer import StreamNormalizer


class ChatCompletions:
    """The chat completions endpoint."""

    path = "/chat/completions"

    def check_basics(self, body: Document) -> None:
        """Check what billing and streaming read; BadRequest for a body without it."""
        chat.check_basics(body)

    def check_details(self, body: Document, dialect: Dialect) -> None:
        """Check a body as far as the dialect's provider does not; BadRequest says what is wrong."""
        chat.check_details(body, strict=dialect.strict_requests)

    def translate(self, translation: Translation) -> None:
        """Put the request into the provider's dialect."""
        translation.reject_fields(self.path)
        translation.rename_fields()
        translation.drop_unknown_fields()
        translation.rename_roles("messages")
        translation.drop_strict("function")
        translation.request_usage()

    def watch(self, body: Document, _dialect: Dialect) -> StreamNormalizer:
        """Return the watch for one stream."""
        wants_usage = bool(object_in(body, "stream_options").get("include_usage"))
        return ChatNormalizer(body["model"], wants_usage=wants_usage, choices=body.get("n") or 1)

    def whole(self, document: Document, body: Document) -> Document:
        """Return the answer with every field that OpenAI's types require."""
        shape = {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": body["model"],
        }
        choices = enumerate(objects_in(document, "choices"))
        return with_defaults(shape, document) | {
            "choices": [_whole_choice(*each) for each in choices]
        }


def _whole_choice(index: int, choice: Document) -> Document:
    message = object_in(choice, "message")
    reason = "tool_calls" if message.get("tool_calls") else "stop"
    whole = with_defaults({"role": "assistant", "content": None}, message)
    return with_defaults({"index": index, "finish_reason": reason}, choice) | {"message": whole}
