"""A Responses stream on its way: whole ones pass as they are, short ones become whole.

The event sequence that OpenAI's clients rely on:
https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from llm_relay.documents import parse_object
from llm_relay.errors import UpstreamBroke
from llm_relay.response_items import Document, Item, output_text
from llm_relay.response_shape import filled_item, filled_response
from llm_relay.sse import event
from llm_relay.usage import usage_of
from llm_relay.watch import StreamWatch, error_event

if TYPE_CHECKING:
    from collections.abc import Callable

    from llm_relay.dialect import Dialect
    from llm_relay.errors import RelayError

_DELTA = re.compile(rb'"type"\s*:\s*"response\.(output_text|function_call_arguments)\.delta"')
_DELTA_FIELDS = (b'"output_index"', b'"sequence_number"', b'"delta"')
_ITEM_ID = re.compile(rb'"item_id"\s*:\s*"([^"\\]*)"')
_PREFIXES = {"message": "msg", "function_call": "fc"}


class ResponsesStream(StreamWatch):
    """Puts in what a provider's stream lacks, and counts the events anew from there on."""

    def __init__(self, body: Document, dialect: Dialect) -> None:
        super().__init__()
        self._body = body
        self._names = dialect.renamed_events
        self._response: Document = {}
        self._items: list[Item] = []
        self._in_progress_is_told = False
        self._next_number = 0
        self._counts_anew = False
        self._open: set[bytes] = set()  # ids of items whose deltas need nothing before them
        self._unread: list[bytes] = []  # such deltas, passed without a look
        self._complete: dict[str, Callable[[Document], list[Document]]] = {
            "response.created": self._created,
            "response.in_progress": self._in_progress,
            "response.output_item.added": self._item_added,
            "response.output_item.done": self._item_done,
            "response.content_part.added": self._part_added,
            "response.content_part.done": self._part_done,
            "response.output_text.delta": self._text_delta,
            "response.output_text.done": self._text_done,
            "response.function_call_arguments.delta": self._arguments_delta,
            "response.function_call_arguments.done": self._arguments_done,
            "response.completed": self._ended,
            "response.incomplete": self._ended,
            "response.failed": self._failed,
        }

    def pass_event(self, frame: bytes, payload: bytes) -> bytes:
        """Return the frame, or the frames that have to stand in its place."""
        if payload.startswith(b"[DONE]"):
            return frame
        if self._is_whole_delta(payload):
            self._unread.append(payload)
            return frame
        document = parse_object(payload)
        if document is None:
            raise UpstreamBroke("The provider sent an event that is not JSON.")
        if error := error_event(document):
            self.note_error(error)
            return frame
        self._read_deltas()
        documents = self._numbered(self._completed(document))
        self._open = {item.id.encode() for item in self._items if item.is_open}
        if documents == [document]:
            return frame
        return b"".join(event(each, each.get("type")) for each in documents)

    def failure(self, error: RelayError) -> bytes:
        """Return response.failed, the Responses API's own word for it."""
        self._read_deltas()
        response = {
            **filled_response(self._response, self._body),
            "status": "failed",
            "output": [item.document("incomplete") for item in self._items],
            "error": {"code": "server_error", "message": error.message},
        }
        failed = {"type": "response.failed", "response": response}
        return b"".join(event(each, each["type"]) for each in self._numbered([failed]))

    def _is_whole_delta(self, payload: bytes) -> bool:
        kind, item_id = _DELTA.search(payload), _ITEM_ID.search(payload)
        if self._counts_anew or not kind or not item_id or item_id[1] not in self._open:
            return False
        is_placed = kind[1] != b"output_text" or b'"content_index"' in payload
        return is_placed and all(name in payload for name in _DELTA_FIELDS)

    def _read_deltas(self) -> None:
        unread, self._unread = self._unread, []
        for payload in unread:
            self._numbered(self._completed(parse_object(payload) or {}))

    def _completed(self, document: Document) -> list[Document]:
        """Return the event as it should be, after those that should have come before it."""
        kind = self._names.get(str(document.get("type")), document.get("type"))
        document = document if kind == document.get("type") else document | {"type": kind}
        before: list[Document] = []
        if not self._response and kind != "response.created":
            known = _dict(document, "response")
            started = known | {"status": "in_progress", "output": [], "usage": None}
            before += self._created({"type": "response.created", "response": started})
        if kind not in ("response.created", "response.in_progress", "response.failed"):
            before += self._in_progress({"type": "response.in_progress"})
        complete = self._complete.get(str(kind))
        return before + (complete(document) if complete else [document])

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
        self._response = filled_response(_dict(document, "response"), self._body)
        self.model = self._response["model"]
        return [document | {"response": self._response}]

    def _in_progress(self, document: Document) -> list[Document]:
        if self._in_progress_is_told:
            return []
        self._in_progress_is_told = True
        return [document | {"response": self._so_far(document)}]

    def _ended(self, document: Document) -> list[Document]:
        self.finished = True
        given, response = _dict(document, "response"), self._so_far(document)
        status = response["status"] = document["type"].removeprefix("response.")
        self.usage = usage_of(document | response)
        self.model = response["model"]
        self._take_over_output(given.get("output"))
        closing = [each for item in self._items for each in self._closed(item, status)]
        if closing or not given.get("output"):
            response["output"] = [item.document(status) for item in self._items]
        return [*closing, document | {"response": response}]

    def _failed(self, document: Document) -> list[Document]:
        self.finished = True
        self.failure_code = "provider_error"
        response = self._so_far(document) | {"status": "failed"}
        self.usage = usage_of(document | response)
        return [document | {"response": response}]

    def _so_far(self, document: Document) -> Document:
        """Return the response as an event tells it; its id may not change on the way."""
        given = self._response | _dict(document, "response")
        return filled_response(given | {"id": self._response.get("id")}, self._body)

    # Its items.

    def _item_added(self, document: Document) -> list[Document]:
        given = _dict(document, "item")
        item = self._new_item(str(given.get("type")), given.get("id"), document)
        self._take_over(item, given)
        item.tells("added")
        return [document | {"output_index": item.index, "item": filled_item(item, given)}]

    def _take_over_output(self, output: Any) -> None:
        for index, given in enumerate(output if isinstance(output, list) else []):
            if isinstance(given, dict):
                place = {"output_index": index}
                self._take_over(self._find(str(given.get("type")), place, given.get("id")), given)

    def _item_done(self, document: Document) -> list[Document]:
        given = _dict(document, "item")
        item = self._find(str(given.get("type")), document, given.get("id"))
        self._take_over(item, given)
        before = self._announced(item) + self._finished_parts(item)
        item.is_done = True
        filled = filled_item(item, given) | {"id": item.id}
        return [*before, document | {"output_index": item.index, "item": filled}]

    def _announced(self, item: Item) -> list[Document]:
        if not item.tells("added"):
            return []
        document = item.document("in_progress")
        empty: Document = {"content": []} if item.kind == "message" else {"arguments": ""}
        added: Document = {"type": "response.output_item.added", "output_index": item.index}
        return [added | {"item": document | empty}]

    def _closed(self, item: Item, status: str) -> list[Document]:
        if item.is_done:
            return []
        parts = self._announced(item) + self._finished_parts(item)
        item.is_done = True
        done = {"type": "response.output_item.done", "output_index": item.index}
        return [*parts, done | {"item": item.document(status)}]

    def _finished_parts(self, item: Item) -> list[Document]:
        if item.kind == "function_call":
            return self._arguments_finished(item) if item.tells("arguments done") else []
        if item.kind != "message":
            return []
        return [each for index in sorted(item.texts) for each in self._text_finished(item, index)]

    # The text of a message.

    def _part_added(self, document: Document) -> list[Document]:
        item, index = self._text_of(document)
        item.tells(f"part {index}")
        return [*self._announced(item), self._placed(document, item, index)]

    def _text_delta(self, document: Document) -> list[Document]:
        item, index = self._text_of(document)
        before = self._announced(item) + self._part_announced(item, index)
        item.texts[index] += str(document.get("delta") or "")
        item.tells(f"text {index}")
        return [*before, {"logprobs": [], **self._placed(document, item, index)}]

    def _text_done(self, document: Document) -> list[Document]:
        item, index = self._text_of(document)
        before = self._announced(item) + self._part_announced(item, index)
        if isinstance(document.get("text"), str):
            item.texts[index] = document["text"]
        before += self._text_told(item, index)
        item.tells(f"text {index} done")
        done = {"text": item.texts[index], "logprobs": [], **document}
        return [*before, self._placed(done, item, index)]

    def _part_done(self, document: Document) -> list[Document]:
        item, index = self._text_of(document)
        part = _dict(document, "part")
        if isinstance(part.get("text"), str):
            item.texts[index] = part["text"]
        before = self._announced(item) + self._part_announced(item, index)
        item.tells(f"part {index} done")
        return [*before, self._placed(document, item, index)]

    def _text_of(self, document: Document) -> tuple[Item, int]:
        item = self._find("message", document, document.get("item_id"))
        given = document.get("content_index")
        index = given if type(given) is int else 0
        item.texts.setdefault(index, "")
        return item, index

    def _part_announced(self, item: Item, index: int) -> list[Document]:
        if not item.tells(f"part {index}"):
            return []
        added = {"type": "response.content_part.added", "part": output_text("")}
        return [self._placed(added, item, index)]

    def _text_told(self, item: Item, index: int) -> list[Document]:
        """Return the text as a delta, if none of it has gone out."""
        if not item.texts[index] or not item.tells(f"text {index}"):
            return []
        delta = {"type": "response.output_text.delta", "delta": item.texts[index], "logprobs": []}
        return [self._placed(delta, item, index)]

    def _text_finished(self, item: Item, index: int) -> list[Document]:
        text = item.texts[index]
        done = self._part_announced(item, index) + self._text_told(item, index)
        if item.tells(f"text {index} done"):
            over = {"type": "response.output_text.done", "text": text, "logprobs": []}
            done.append(self._placed(over, item, index))
        if item.tells(f"part {index} done"):
            end = {"type": "response.content_part.done", "part": output_text(text)}
            done.append(self._placed(end, item, index))
        return done

    # The arguments of a function call.

    def _arguments_delta(self, document: Document) -> list[Document]:
        item = self._find("function_call", document, document.get("item_id"))
        self._name(item, document)
        item.arguments += str(document.get("delta") or "")
        if not item.name:
            return []  # a call is announced with its name, which comes later
        before = self._announced(item)
        item.tells("arguments")
        return [*before, document | item.place()]

    def _arguments_done(self, document: Document) -> list[Document]:
        item = self._find("function_call", document, document.get("item_id"))
        self._name(item, document)
        if isinstance(document.get("arguments"), str):
            item.arguments = document["arguments"]
        before = self._announced(item) + self._arguments_told(item)
        item.tells("arguments done")
        done = {"name": item.name, "arguments": item.arguments}
        return [*before, document | item.place() | done]

    def _arguments_told(self, item: Item) -> list[Document]:
        if not item.arguments or not item.tells("arguments"):
            return []
        delta = {"type": "response.function_call_arguments.delta", "delta": item.arguments}
        return [delta | item.place()]

    def _arguments_finished(self, item: Item) -> list[Document]:
        done = {"name": item.name, "arguments": item.arguments}
        last = {"type": "response.function_call_arguments.done"}
        return [*self._arguments_told(item), last | item.place() | done]

    def _name(self, item: Item, document: Document) -> None:
        for name in ("name", "call_id"):
            if isinstance(document.get(name), str):
                setattr(item, name, document[name])

    # Which item an event is about.

    def _find(self, kind: str, document: Document, item_id: Any) -> Item:
        for item in self._items:
            if item.kind == kind and item.id == item_id:
                return item
        for item in self._items:
            if item.kind == kind and item.index == document.get("output_index"):
                return item
        last = self._items[-1] if self._items else None
        is_meant = last and item_id is None and last.kind == kind and not last.is_over
        return last if last and is_meant else self._new_item(kind, item_id, document)

    def _new_item(self, kind: str, item_id: Any, document: Document) -> Item:
        taken = {item.index for item in self._items}
        index = document.get("output_index")
        if type(index) is not int or index in taken:
            index = max(taken, default=-1) + 1
        own_id = f"{_PREFIXES.get(kind, kind)}_{self._response['id'].removeprefix('resp_')}_{index}"
        item_id = item_id if isinstance(item_id, str) and item_id else own_id
        item = Item(id=item_id, index=index, kind=kind, call_id=f"call_{item_id}")
        self._items.append(item)
        return item

    def _take_over(self, item: Item, given: Document) -> None:
        item.fields = item.fields | given
        self._name(item, given)
        if isinstance(given.get("arguments"), str) and given["arguments"]:
            item.arguments = given["arguments"]
        parts = given.get("content")
        for index, part in enumerate(parts if isinstance(parts, list) else []):
            if isinstance(part, dict) and isinstance(part.get("text"), str):
                item.texts[index] = part["text"]

    def _placed(self, document: Document, item: Item, index: int) -> Document:
        return {**document, **item.place(), "content_index": index}


def _dict(document: Document, name: str) -> Document:
    value = document.get(name)
    return value if isinstance(value, dict) else {}
