"""POST /v1/chat/completions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from llm_relay import checks
from llm_relay.documents import parse_object
from llm_relay.errors import BadRequest
from llm_relay.sse import DONE, event
from llm_relay.watch import StreamWatch

if TYPE_CHECKING:
    from llm_relay.errors import RelayError

_FINISH_REASON = re.compile(rb'"finish_reason"\s*:\s*"')


class ChatCompletions:
    """The chat completions endpoint."""

    path = "/chat/completions"

    def check(self, body: dict[str, Any]) -> None:
        """Refuse with BadRequest what no provider could answer."""
        checks.needs_text(body, "model", "GET /v1/models lists what there is.")
        checks.may_be_flag(body, "stream")
        _check_messages(body.get("messages"))
        checks.may_be_list_of_objects(body, "tools")
        checks.may_be_number(body, "temperature", 0, 2)
        checks.may_be_number(body, "top_p", 0, 1)
        checks.may_be_number(body, "presence_penalty", -2, 2)
        checks.may_be_number(body, "frequency_penalty", -2, 2)
        for name in ("n", "max_tokens", "max_completion_tokens"):
            checks.may_be_count(body, name)

    def watch(self) -> StreamWatch:
        """Return the watch for one stream."""
        return ChatWatch()


class ChatWatch(StreamWatch):
    """Knows the chunks of a chat completion."""

    _finish_reason_seen = False

    def see_event(self, payload: bytes) -> None:
        """Look at one chunk; only those that carry more than text are parsed."""
        if payload.startswith(b"[DONE]"):
            self.finished = True
            return
        if self.model is None:
            self.model = _text(parse_object(payload), "model")
        if _FINISH_REASON.search(payload):
            self._finish_reason_seen = True
        self.note_usage(payload)
        self.note_error(payload)

    def closing(self) -> bytes | None:
        """Return [DONE] where a provider gave its finish reason and left it at that."""
        if self.finished:
            return b""
        return DONE if self._finish_reason_seen else None

    def failure(self, error: RelayError) -> bytes:
        """Return the event at which both official SDKs raise; no [DONE] follows."""
        return event(error.body())


def _check_messages(messages: Any) -> None:
    if not isinstance(messages, list) or not messages:
        raise BadRequest(
            "'messages' must be a non-empty list of objects such as "
            '{"role": "user", "content": "Hello"}.',
            param="messages",
        )
    for index, message in enumerate(messages):
        _check_message(message, f"messages[{index}]")


def _check_message(message: Any, path: str) -> None:
    if not isinstance(message, dict):
        raise BadRequest(f"'{path}' must be an object with 'role' and 'content'.", param=path)
    role, content = message.get("role"), message.get("content")
    if not isinstance(role, str) or not role:
        raise BadRequest(
            f"'{path}.role' must be 'system', 'developer', 'user', 'assistant' or 'tool'.",
            param=f"{path}.role",
        )
    # An assistant's turn may hold tool calls in place of text.
    if not isinstance(content, str | list) and not (content is None and role == "assistant"):
        raise BadRequest(
            f"'{path}.content' must be a string or a list of content parts.",
            param=f"{path}.content",
        )


def _text(document: dict[str, Any] | None, name: str) -> str | None:
    value = (document or {}).get(name)
    return value if isinstance(value, str) else None
