"""The output items of a streamed response, and the events that begin and end them."""

from __future__ import annotations

from typing import Any

from llm_relay.core.defaults import Document, object_in, objects_in, text_in
from llm_relay.streaming.responses.items import HOLDERS, Item
from llm_relay.streaming.responses.shape import PREFIXES, kind_of, whole_output
from llm_relay.streaming.responses.texts import finished

# Items that an event of theirs may begin, since they need no more than an id and a status.
_BARE = {
    "code_interpreter_call",
    "file_search_call",
    "image_generation_call",
    "web_search_call",
}


class ResponseOutput:
    """Keeps the items; event methods return an event as it should be, after those it lacks.

    https://platform.openai.com/docs/api-reference/responses-streaming
    """

    def __init__(self) -> None:
        self._items: list[Item] = []
        self._announced: list[Item] = []  # in the order that clients rely on
        self._response_id = ""

    def belongs_to(self, response_id: str) -> None:
        """Name the response, after which items without an id of their own are called."""
        self._response_id = response_id

    def documents(self, status: str) -> list[Document]:
        """Return the items that the caller knows of, as they are now."""
        return [item.document(status) for item in self._announced]

    def closed(self, status: str) -> list[Document]:
        """Return the events that end all items which are not over."""
        return [each for item in self._items for each in self._closed(item, status, {})]

    def item_added(self, document: Document) -> list[Document]:
        """An item begins."""
        given = object_in(document, "item")
        if not given:
            return []  # what begins will show
        item = self._begun(given, document) or self._new(kind_of(given), given.get("id"), document)
        item.is_given = True
        item.take_over(given)
        is_held = item.index is None and not item.is_tellable
        return [] if is_held else [document | event for event in self.announced(item)]

    def item_done(self, document: Document) -> list[Document]:
        """An item is over."""
        given = object_in(document, "item")
        item = self.find(kind_of(given), document | given, given.get("id"))
        item.take_over(given)
        return self._closed(item, text_in(given, "status") or "completed", document)

    def other(self, document: Document) -> list[Document]:
        """Any event that may be about an item; it gets the place that the item has here."""
        kind = text_in(document, "type").removeprefix("response.").rpartition(".")[0]
        if kind in _BARE:
            item = self.find(kind, document, document.get("item_id"))
            return [*self.announced(item), document | item.place()]
        known = self.named(document.get("item_id"))
        return [document | known.place() if known and known.index is not None else document]

    def take_over(self, response: Document) -> list[Document]:
        """Take what a response says of its items, which may be all; return it under their ids."""
        output = objects_in(response, "output")
        known = [self._same(kind_of(given), given, given.get("id")) for given in output]
        left = [item for item in self._items if item not in known]
        items = []
        for given, same in zip(output, known, strict=True):
            alike = (item for item in left if item.kind == kind_of(given))
            item = same or next(alike, None) or self._new(kind_of(given), given.get("id"), {})
            left = [each for each in left if each is not item]
            item.take_over(given)
            items.append(item)
        whole = zip(whole_output(response), items, strict=True)
        return [given | item.identity() for given, item in whole]

    def announced(self, item: Item) -> list[Document]:
        """Return the event that begins an item, if it has not gone out."""
        if item.index is not None:
            return []
        item.call_id = item.call_id or f"call_{item.id}"
        item.index = len(self._announced)
        self._announced.append(item)
        added = {"type": "response.output_item.added", "output_index": item.index}
        return [added | {"item": item.announcement()}]

    def _closed(self, item: Item, status: str, document: Document) -> list[Document]:
        if item.is_done:
            return []
        before = self.announced(item) + finished(item)
        item.fields = item.document(status)
        item.is_done = True
        done = {"type": "response.output_item.done", "output_index": item.index}
        return [*before, document | done | {"item": item.fields}]

    # Which item an event is about.

    def is_foreign(self, item_id: Any) -> bool:
        """Tell whether an item is of a kind whose texts are its own affair."""
        known = self.named(item_id)
        return known is not None and known.kind not in HOLDERS

    def named(self, item_id: Any) -> Item | None:
        """Return the item that the provider or we call by that id."""
        name = _name(item_id)
        return next((i for i in self._items if name and name in (i.id, i.given_id)), None)

    def find(self, kind: str, fields: Document, item_id: Any) -> Item:
        """Return the item that an event of these fields is about, a new one if it fits none."""
        if same := self._same(kind, fields, item_id):
            return same
        fitting = [i for i in reversed(self._items) if i.kind == kind and i.fits(fields)]
        index, name = fields.get("output_index"), _name(item_id)
        if type(index) is int:
            fitting = [item for item in fitting if item.is_at(index)]
        elif name:
            fitting = [item for item in fitting if not item.given_id]
        item = fitting[0] if fitting else self._new(kind, item_id, fields)
        item.given_id = item.given_id or name
        return item

    def _same(self, kind: str, fields: Document, item_id: Any) -> Item | None:
        """Return the item that is called by that id, or makes that call."""
        name, call_id = _name(item_id), text_in(fields, "call_id")
        same = [item for item in reversed(self._items) if item.kind == kind]
        named = (item for item in same if name and name in (item.id, item.given_id))
        called = (item for item in same if call_id and item.call_id == call_id)
        return next(named, None) or next(called, None)

    def _begun(self, given: Document, document: Document) -> Item | None:
        """Return the item of a late or repeated announcement."""
        kind, item_id, index = kind_of(given), given.get("id"), document.get("output_index")
        if same := self._same(kind, given, item_id):
            return same
        for item in self._items:
            is_new = item.is_given or item.kind != kind or not item.fits(given)
            if not is_new and not (item_id and item.given_id) and item.is_at(index):
                item.given_id = item.given_id or _name(item_id)
                return item
        return None

    def _new(self, kind: str, item_id: Any, fields: Document) -> Item:
        given_id, taken = _name(item_id), {item.id for item in self._items}
        index, prefix = fields.get("output_index"), PREFIXES.get(kind, kind)
        own_id = f"{prefix}_{self._response_id.removeprefix('resp_')}_{len(self._items)}"
        item = Item(
            id=given_id if given_id and given_id not in taken else own_id,
            kind=kind,
            given_id=given_id,
            given_index=index if type(index) is int else None,
        )
        self._items.append(item)
        return item


def _name(item_id: Any) -> str:
    return item_id if isinstance(item_id, str) else ""
