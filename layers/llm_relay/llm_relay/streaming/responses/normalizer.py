"""A Responses stream on its way: whole ones pass as they are, short ones become whole.

The event sequence that OpenAI's clients rely on:
https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from llm_relay.core.defaults import Document, object_in, with_defaults
from llm_relay.core.usage import usage_of
from llm_relay.providers.redaction import redacted
from llm_relay.streaming.known_deltas import KnownDelta, known_delta
from llm_relay.streaming.normalizer import MOST_SHAPES, StreamNormalizer
from llm_relay.streaming.responses.items import TEXT_KINDS
from llm_relay.streaming.responses.output import ResponseOutput
from llm_relay.streaming.responses.shape import filled_response
from llm_relay.streaming.responses.texts import ResponseTexts
from llm_relay.streaming.sse import event

if TYPE_CHECKING:
    from collections.abc import Callable

    from llm_relay.core.errors import RelayError
    from llm_relay.providers.dialects.dialect import Dialect

# Of a response as a whole, before which there need not be response.in_progress.
_FIRST = ("response.created", "response.queued", "response.in_progress", "response.failed")


class ResponsesNormalizer(StreamNormalizer):
    """Puts in what a provider's stream lacks, and counts the events anew from there on."""

    has_flat_errors = True

    def __init__(self, body: Document, dialect: Dialect) -> None:
        super().__init__()
        self._body = body
        self._names = dialect.renamed_events
        self._response: Document = {}
        self._output = ResponseOutput()
        self._texts = ResponseTexts(self._output)
        self._in_progress_is_told = False
        self._next_number = 0
        self._counts_anew = False
        self._known: dict[bytes, KnownDelta] = {}  # by their shapes
        self._complete: dict[str, Callable[[Document], list[Document]]] = {
            "response.created": self._created,
            "response.queued": self._queued,
            "response.in_progress": self._in_progress,
            "response.output_item.added": self._output.item_added,
            "response.output_item.done": self._output.item_done,
            "response.content_part.added": self._texts.part_added,
            "response.content_part.done": self._texts.part_done,
            "response.reasoning_summary_part.added": self._texts.part_added,
            "response.reasoning_summary_part.done": self._texts.part_done,
            "response.output_text.annotation.added": self._texts.annotation,
            **{f"{kind.events}.delta": partial(self._texts.delta, kind) for kind in TEXT_KINDS},
            **{f"{kind.events}.done": partial(self._texts.done, kind) for kind in TEXT_KINDS},
            "response.completed": self._ended,
            "response.incomplete": self._ended,
            "response.failed": self._failed,
        }

    def knows(self, shape: bytes) -> bool:
        """Tell whether deltas of a shape need no look any more."""
        return shape in self._known

    def pass_known(self, shape: bytes, run: list[bytes]) -> bytes:
        """Return deltas as one of their shape was passed."""
        known, frames, first = self._known[shape], b"".join(run), self._next_number
        pieces = known.pieces(frames)
        known.text.unread += pieces
        own = range(first, first + len(pieces))
        numbers = own if self._counts_anew else known.numbers(frames)
        self._next_number = numbers[-1] + 1
        return known.passed(frames, pieces, numbers)

    def pass_event(self, shape: bytes, frame: bytes, payload: bytes) -> bytes:
        """Return the frame, or the frames that have to stand in its place."""
        if payload.startswith(b"[DONE]"):
            return frame if self.finished else b""  # clients read no further
        self._texts.latest, counted_anew = None, self._counts_anew
        passed = self.read(frame, payload)
        text = self._texts.latest
        if text is None or self._counts_anew != counted_anew or len(self._known) == MOST_SHAPES:
            self._known.clear()  # what comes between may have ended a text
        if text and text.is_told:
            known = known_delta(text, frame, passed, counts_anew=self._counts_anew)
            self._known |= {shape: known} if known else {}
        return passed

    def pass_document(self, frame: bytes, document: Document) -> bytes:
        """Return the frame, or the frames that have to stand in its place."""
        if not str(document.get("type")).startswith("response."):
            return frame  # of no known use to anyone, such as a ping
        documents = self._numbered(self._completed(document))
        if documents == [document]:
            return frame
        return b"".join(event(each, each.get("type")) for each in documents)

    def failure(self, error: RelayError) -> bytes:
        """Return response.failed, the Responses API's own word for it."""
        before = self._begun({"type": "response.failed"})
        response = {
            **filled_response(self._response, self._body),
            "status": "failed",
            "output": self._output.documents("incomplete"),
            "error": {"code": "server_error", "message": error.message},
        }
        failed = {"type": "response.failed", "response": response}
        documents = self._numbered([*before, failed])
        return b"".join(event(each, each["type"]) for each in documents)

    def _completed(self, document: Document) -> list[Document]:
        """Return the event as it should be, after those that should have come before it."""
        given = str(document.get("type"))
        kind = self._names.get(given, given)
        document = document if kind == given else document | {"type": kind}
        complete = self._complete.get(kind, self._output.other)
        if self._output.is_foreign(document.get("item_id")):
            complete = self._output.other
        return self._begun(document) + complete(document)

    def _begun(self, document: Document) -> list[Document]:
        """Return the events that begin a stream, as far as they have to come before this one."""
        kind, before = document["type"], []
        if not self._response and kind != "response.created":
            started = object_in(document, "response") | {"status": "in_progress", "usage": None}
            before += self._created({"type": "response.created", "response": started})
        if kind not in _FIRST:
            before += self._in_progress({"type": "response.in_progress"})
        return before

    def _numbered(self, documents: list[Document]) -> list[Document]:
        numbered = []
        for document in documents:
            number = document.get("sequence_number")
            if self._counts_anew or type(number) is not int:
                self._counts_anew = True
                number = self._next_number
            numbered.append(document | {"sequence_number": number})
            self._next_number = number + 1
        return numbered

    # How a response as a whole goes on.

    def _created(self, document: Document) -> list[Document]:
        given, is_late = object_in(document, "response"), bool(self._response)
        self._response = self._so_far(given) | {"output": []}
        self.model = self._response["model"]
        self._output.belongs_to(self._response["id"])
        return [] if is_late else [document | {"response": self._response}]

    def _queued(self, document: Document) -> list[Document]:
        if self._in_progress_is_told:
            return []
        response = self._so_far(object_in(document, "response"))
        return [document | {"response": response | {"output": []}}]

    def _in_progress(self, document: Document) -> list[Document]:
        queued = self._queued(document)
        self._in_progress_is_told = True
        return queued

    def _ended(self, document: Document) -> list[Document]:
        self.finished = True
        given = object_in(document, "response")
        response = self._so_far(given)
        status = response["status"] = document["type"].removeprefix("response.")
        self.usage = usage_of(document | response)
        self.model = response["model"]
        output = self._output.take_over(given)
        closing = self._output.closed(status)
        response["output"] = output if output and not closing else self._output.documents(status)
        return [*closing, document | {"response": response}]

    def _failed(self, document: Document) -> list[Document]:
        self.finished = True
        self.failure_code = "provider_error"
        response = self._so_far(object_in(document, "response")) | {"status": "failed"}
        response["error"] = redacted(response["error"], self.key)
        self.usage = usage_of(document | response)
        return [document | {"response": response}]

    def _so_far(self, given: Document) -> Document:
        """Return the response as an event tells it; its id may not change on the way."""
        known = {"id": self._response["id"]} if self._response else {}
        return filled_response(with_defaults(self._response, given) | known, self._body)
