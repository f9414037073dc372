"""The output items of a streamed response, and the events that begin and end them."""

from __future__ import annotations

from llm_relay.core.defaults import Document, object_in, objects_in, text_in
from llm_relay.streaming.responses.item import OutputItem
from llm_relay.streaming.responses.required_fields import ID_PREFIXES, complete_output, item_type
from llm_relay.streaming.responses.text_events import closing_events

# Any event may begin such an item, which needs no more than an id and a status.
_TOOL_ITEM_TYPES = {
    "code_interpreter_call",
    "file_search_call",
    "image_generation_call",
    "web_search_call",
}


class ResponseOutput:
    """Stores the items; handlers return the completed event, after those that must precede it."""

    def __init__(self) -> None:
        self.response_id = ""  # part of the ids given to items without one
        self._items: list[OutputItem] = []
        self._announced: list[OutputItem] = []  # by output_index

    def documents(self, status: str) -> list[Document]:
        """Return the items that the caller knows of, as they are now."""
        return [item.document(status) for item in self._announced]

    def close_all(self, status: str) -> list[Document]:
        """Return the events that end all unfinished items."""
        return [event for item in self._items for event in self._close(item, status, {})]

    def item_added(self, document: Document) -> list[Document]:
        """Handle the beginning of an item."""
        given = object_in(document, "item")
        if not given:
            return []  # a later event shows which item begins
        item = self._item_to_add(given, document)
        item.provider_added = True
        item.update(given)
        if not item.can_be_announced:
            return []
        return [document | event for event in self.announce(item)]

    def item_done(self, document: Document) -> list[Document]:
        """Handle the end of an item."""
        given = object_in(document, "item")
        item = self.find_or_create(item_type(given), document | given, text_in(given, "id"))
        item.update(given)
        return self._close(item, text_in(given, "status") or "completed", document)

    def other_event(self, document: Document) -> list[Document]:
        """Handle any other event; one about an item gets the item's reference."""
        prefix = text_in(document, "type").removeprefix("response.").rpartition(".")[0]
        if prefix in _TOOL_ITEM_TYPES:
            item = self.find_or_create(prefix, document, text_in(document, "item_id"))
            return [*self.announce(item), document | item.reference()]
        known = self.find(text_in(document, "item_id"))
        is_announced = known is not None and known.index is not None
        return [document | known.reference() if known and is_announced else document]

    def merge(self, response: Document) -> list[Document]:
        """Take the items of a final response; return them under the ids that the caller knows."""
        output = objects_in(response, "output")
        known = [self._same(item_type(given), given, text_in(given, "id")) for given in output]
        unmatched = [item for item in self._items if item not in known]
        items = []
        for given, same in zip(output, known, strict=True):
            of_type = (item for item in unmatched if item.type == item_type(given))
            item = same or next(of_type, None)
            item = item or self._create(item_type(given), text_in(given, "id"), {})
            unmatched = [each for each in unmatched if each is not item]
            item.update(given)
            items.append(item)
        completed = zip(complete_output(response), items, strict=True)
        return [given | item.identity() for given, item in completed]

    def announce(self, item: OutputItem) -> list[Document]:
        """Return the event that begins an item, if it was not sent."""
        if item.index is not None:
            return []
        item.call_id = item.call_id or f"call_{item.id}"
        item.index = len(self._announced)
        self._announced.append(item)
        added = {"type": "response.output_item.added", "output_index": item.index}
        return [added | {"item": item.announcement()}]

    def _close(self, item: OutputItem, status: str, document: Document) -> list[Document]:
        if item.is_done:
            return []
        before = self.announce(item) + closing_events(item)
        item.fields = item.document(status)
        item.is_done = True
        done = {"type": "response.output_item.done", "output_index": item.index}
        return [*before, document | done | {"item": item.fields}]

    # Which item an event is about.

    def find(self, item_id: str) -> OutputItem | None:
        """Return the item with that id, the provider's or ours."""
        if not item_id:
            return None
        return next((i for i in self._items if item_id in (i.id, i.provider_id)), None)

    def find_or_create(self, kind: str, fields: Document, item_id: str) -> OutputItem:
        """Return the item of a type that an event is about, a new one if it matches none."""
        if same := self._same(kind, fields, item_id):
            return same
        matching = [i for i in reversed(self._items) if i.type == kind and i.matches(fields)]
        index = fields.get("output_index")
        if type(index) is int:
            matching = [item for item in matching if item.matches_index(index)]
        elif item_id:
            matching = [item for item in matching if not item.provider_id]
        item = matching[0] if matching else self._create(kind, item_id, fields)
        item.provider_id = item.provider_id or item_id
        return item

    def _same(self, kind: str, fields: Document, item_id: str) -> OutputItem | None:
        """Return the item with that id, or with that call id."""
        items = [item for item in reversed(self._items) if item.type == kind]
        for item in items:
            if item_id and item_id in (item.id, item.provider_id):
                return item
        call_id = text_in(fields, "call_id")
        return next((item for item in items if call_id and item.call_id == call_id), None)

    def _item_to_add(self, given: Document, document: Document) -> OutputItem:
        """Return the item of an output_item.added, known if that is late or repeated."""
        kind, item_id, index = item_type(given), text_in(given, "id"), document.get("output_index")
        if same := self._same(kind, given, item_id):
            return same
        for item in self._items:
            is_other = item.provider_added or item.type != kind or not item.matches(given)
            has_other_id = item_id and item.provider_id
            if not is_other and not has_other_id and item.matches_index(index):
                item.provider_id = item.provider_id or item_id
                return item
        return self._create(kind, item_id, document)

    def _create(self, kind: str, item_id: str, fields: Document) -> OutputItem:
        index, prefix = fields.get("output_index"), ID_PREFIXES.get(kind, kind)
        own_id = f"{prefix}_{self.response_id.removeprefix('resp_')}_{len(self._items)}"
        is_new = item_id and all(item.id != item_id for item in self._items)
        item = OutputItem(
            id=item_id if is_new else own_id,
            type=kind,
            provider_id=item_id,
            provider_index=index if type(index) is int else None,
        )
        self._items.append(item)
        return item
