"""POST /v1/responses."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

from llm_relay import checks
from llm_relay.documents import parse_object
from llm_relay.errors import BadRequest
from llm_relay.sse import event
from llm_relay.usage import usage_of
from llm_relay.watch import StreamWatch

if TYPE_CHECKING:
    from llm_relay.errors import RelayError

_LIFE_CYCLE = re.compile(rb'"type"\s*:\s*"response\.(?:created|completed|failed|incomplete)"')
_SEQUENCE_NUMBER = re.compile(rb'"sequence_number"\s*:\s*(\d{1,9})\b')
_LAST_EVENTS = {"response.completed", "response.failed", "response.incomplete"}


class Responses:
    """The Responses endpoint."""

    path = "/responses"

    def check(self, body: dict[str, Any]) -> None:
        """Refuse with BadRequest what no provider could answer."""
        checks.needs_text(body, "model", "GET /v1/models lists what there is.")
        checks.may_be_flag(body, "stream")
        _check_input(body)
        if not isinstance(body.get("instructions"), str | list | None):
            raise BadRequest("'instructions' must be a string.", param="instructions")
        checks.may_be_list_of_objects(body, "tools")
        checks.may_be_number(body, "temperature", 0, 2)
        checks.may_be_number(body, "top_p", 0, 1)
        checks.may_be_count(body, "max_output_tokens")

    def watch(self) -> StreamWatch:
        """Return the watch for one stream."""
        return ResponsesWatch()


class ResponsesWatch(StreamWatch):
    """Knows the events of a response."""

    def __init__(self) -> None:
        super().__init__()
        self._response: dict[str, Any] = {}
        self._last_payload = b""

    def see_event(self, payload: bytes) -> None:
        """Look at one event; only those at which a response changes its state are parsed."""
        if payload.startswith(b"[DONE]"):
            return
        self._last_payload = payload
        if _LIFE_CYCLE.search(payload) and (document := parse_object(payload)):
            self._see_state(document)
        self.note_error(payload)

    def _see_state(self, document: dict[str, Any]) -> None:
        response = document.get("response")
        if isinstance(response, dict):
            self._response = response
            model = response.get("model")
            self.model = model if isinstance(model, str) else self.model
        if document.get("type") in _LAST_EVENTS:
            self.finished = True
            # Providers put their extras beside the response or into it.
            self.usage = usage_of(document | self._response)

    def failure(self, error: RelayError) -> bytes:
        """Return response.failed, the Responses API's own word for it."""
        started = {
            "id": "resp_unknown",
            "object": "response",
            "created_at": int(time.time()),
            "model": self.model,
            "output": [],
        }
        why = {"code": "server_error", "message": error.message}
        response = started | self._response | {"status": "failed", "error": why}
        document = {
            "type": "response.failed",
            "sequence_number": self._next_sequence_number(),
            "response": response,
        }
        return event(document, "response.failed")

    def _next_sequence_number(self) -> int:
        match = _SEQUENCE_NUMBER.search(self._last_payload)
        return int(match[1]) + 1 if match else self.events


def _check_input(body: dict[str, Any]) -> None:
    if not isinstance(body.get("input"), str | list | None):
        raise BadRequest(
            "'input' must be a string, or a list of items such as "
            '{"role": "user", "content": "Hello"}.',
            param="input",
        )
    if isinstance(body.get("input"), list):
        checks.may_be_list_of_objects(body, "input")
    if not body.get("input") and not _gets_input_elsewhere(body):
        raise BadRequest("'input' is missing. Send a string or a list of items.", param="input")


def _gets_input_elsewhere(body: dict[str, Any]) -> bool:
    return any(body.get(name) for name in ("instructions", "prompt", "previous_response_id"))
