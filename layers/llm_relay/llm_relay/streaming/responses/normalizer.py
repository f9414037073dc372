"""Normalizes Responses streams: sends the events that a provider leaves out.

The event sequence that OpenAI's clients rely on:
https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from llm_relay.core.defaults import Document, object_in, text_in, with_defaults
from llm_relay.core.usage import usage_of
from llm_relay.providers.provider_error import redact
from llm_relay.streaming.normalizer import StreamNormalizer
from llm_relay.streaming.responses.item_text import TEXT_ITEM_TYPES, TEXT_KINDS
from llm_relay.streaming.responses.output import ResponseOutput
from llm_relay.streaming.responses.required_fields import complete_response
from llm_relay.streaming.responses.text_handlers import TextHandlers
from llm_relay.streaming.sse import encode_event

if TYPE_CHECKING:
    from llm_relay.core.errors import RelayError
    from llm_relay.providers.dialects.dialect import Dialect

# Events that response.in_progress need not precede.
_FIRST = ("response.created", "response.queued", "response.in_progress", "response.failed")


class ResponsesNormalizer(StreamNormalizer):
    """Completes the events of a response, and renumbers them from the first change on."""

    has_flat_errors = True

    def __init__(self, body: Document, dialect: Dialect) -> None:
        super().__init__()
        self._body = body
        self._renamed_events = dialect.renamed_events
        self._response: Document = {}
        self._output = ResponseOutput()
        self._in_progress_sent = False
        self._next_number = 0
        self._renumbers = False
        texts = TextHandlers(self._output)
        self._handlers: dict[str, Callable[[Document], list[Document]]] = {
            "response.created": self._created,
            "response.queued": self._started,
            "response.in_progress": self._started,
            "response.output_item.added": self._output.item_added,
            "response.output_item.done": self._output.item_done,
            "response.content_part.added": texts.part_added,
            "response.content_part.done": texts.part_done,
            "response.reasoning_summary_part.added": texts.part_added,
            "response.reasoning_summary_part.done": texts.part_done,
            "response.output_text.annotation.added": texts.annotation,
            **{f"{kind.event_prefix}.delta": partial(texts.delta, kind) for kind in TEXT_KINDS},
            **{f"{kind.event_prefix}.done": partial(texts.done, kind) for kind in TEXT_KINDS},
            "response.completed": self._ended,
            "response.incomplete": self._ended,
            "response.failed": self._failed,
        }

    def normalize_done(self, frame: bytes) -> bytes:
        """Return the frame only at the end: clients stop reading at it."""
        return frame if self.is_finished else b""

    def normalize_event(self, frame: bytes, document: Document) -> bytes:
        """Return the frame itself if its event is complete, or the frames that replace it."""
        if not str(document.get("type")).startswith("response."):
            return frame  # unknown, such as a ping
        documents = self._numbered(self._completed(document))
        return frame if documents == [document] else _frames(documents)

    def failure_frames(self, error: RelayError) -> bytes:
        """Return response.failed, after the events that have to precede it."""
        before = self._opening({"type": "response.failed"})
        response = {
            **complete_response(self._response, self._body),
            "status": "failed",
            "output": self._output.documents("incomplete"),
            "error": {"code": "server_error", "message": error.message},
        }
        failed = {"type": "response.failed", "response": response}
        return _frames(self._numbered([*before, failed]))

    def _completed(self, document: Document) -> list[Document]:
        """Return the completed event, after the events that have to precede it."""
        given = str(document.get("type"))
        name = self._renamed_events.get(given, given)
        document = document if name == given else document | {"type": name}
        handle = self._handlers.get(name, self._output.other_event)
        item = self._output.find(text_in(document, "item_id"))
        if item and item.type not in TEXT_ITEM_TYPES:
            handle = self._output.other_event
        return self._opening(document) + handle(document)

    def _opening(self, document: Document) -> list[Document]:
        """Return the unsent events that open a stream and have to precede this one."""
        name, before = document["type"], []
        if not self._response and name != "response.created":
            started = object_in(document, "response") | {"status": "in_progress", "usage": None}
            before += self._created({"type": "response.created", "response": started})
        if name not in _FIRST:
            before += self._started({"type": "response.in_progress"})
        return before

    def _numbered(self, documents: list[Document]) -> list[Document]:
        numbered = []
        for document in documents:
            number = document.get("sequence_number")
            if self._renumbers or type(number) is not int:
                self._renumbers = True
                number = self._next_number
                document = document | {"sequence_number": number}  # noqa: PLW2901
            numbered.append(document)
            self._next_number = number + 1
        return numbered

    # Events about the response as a whole.

    def _created(self, document: Document) -> list[Document]:
        given, is_late = object_in(document, "response"), bool(self._response)
        self._response = self._merged(given) | {"output": []}
        self.model = self._response["model"]
        self._output.response_id = self._response["id"]
        return [] if is_late else [document | {"response": self._response}]

    def _started(self, document: Document) -> list[Document]:
        if self._in_progress_sent:
            return []
        self._in_progress_sent = document["type"] == "response.in_progress"
        response = self._merged(object_in(document, "response"))
        return [document | {"response": response | {"output": []}}]

    def _ended(self, document: Document) -> list[Document]:
        self.is_finished = True
        given = object_in(document, "response")
        response = self._merged(given)
        status = response["status"] = document["type"].removeprefix("response.")
        self.usage = usage_of(document | response)
        self.model = response["model"]
        output = self._output.merge(given)
        closing = self._output.close_all(status)
        response["output"] = output if output and not closing else self._output.documents(status)
        return [*closing, document | {"response": response}]

    def _failed(self, document: Document) -> list[Document]:
        self.is_finished = True
        self.failure_code = "provider_error"
        response = self._merged(object_in(document, "response")) | {"status": "failed"}
        response["error"] = redact(response["error"], self.provider_key)
        self.usage = usage_of(document | response)
        return [document | {"response": response}]

    def _merged(self, given: Document) -> Document:
        """Return the response with what an event adds; its id may not change."""
        known = {"id": self._response["id"]} if self._response else {}
        return complete_response(with_defaults(self._response, given) | known, self._body)


def _frames(documents: list[Document]) -> bytes:
    return b"".join(encode_event(document, document["type"]) for document in documents)
