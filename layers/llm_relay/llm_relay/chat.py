"""POST /v1/chat/completions."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Any

from llm_relay import chat_checks
from llm_relay.chat_stream import ChatStream

if TYPE_CHECKING:
    from llm_relay.dialect import Dialect
    from llm_relay.translation import Translation
    from llm_relay.watch import StreamWatch

Document = dict[str, Any]


class ChatCompletions:
    """The chat completions endpoint."""

    path = "/chat/completions"

    def check(self, body: Document) -> None:
        """Refuse with BadRequest what no provider could answer."""
        chat_checks.check(body)

    def translate(self, translation: Translation) -> None:
        """Put the request into the provider's dialect."""
        translation.refuse(self.path)
        translation.rename_fields()
        translation.drop_unknown_fields()
        translation.rename_roles("messages")
        translation.drop_strict("function")
        translation.ask_for_usage()

    def watch(self, body: Document, _dialect: Dialect) -> StreamWatch:
        """Return the watch for one stream."""
        options = body.get("stream_options") or {}
        return ChatStream(body["model"], wants_usage=bool(options.get("include_usage")))

    def whole(self, document: Document, body: Document) -> Document:
        """Return the answer with every field that OpenAI's types require."""
        shape = {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": body["model"],
        }
        given = document.get("choices")
        choices = given if isinstance(given, list) else []
        whole = [_whole_choice(index, choice) for index, choice in enumerate(choices)]
        return shape | document | {"choices": whole}


def _whole_choice(index: int, choice: Any) -> Any:
    if not isinstance(choice, dict):
        return choice
    message = choice.get("message")
    message = message if isinstance(message, dict) else {}
    reason = "tool_calls" if message.get("tool_calls") else "stop"
    whole = {"role": "assistant", "content": None} | message
    return {"index": index, "finish_reason": reason} | choice | {"message": whole}
