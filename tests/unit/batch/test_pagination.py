"""Lists, page by page."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from llm_relay.batch.api.routes import paginate
from llm_relay.batch.model.record import StoredFile


def entry(entry_id: str) -> StoredFile:
    return StoredFile(id=entry_id, owner="", filename="", bytes=0, key="", created_at=0)


@dataclass
class Shelf:
    """Entries in the order of their ids, and how often they were read."""

    ids: list[str]
    reads: int = 0

    def read(self, after: str | None, limit: int) -> list[StoredFile]:
        self.reads += 1
        rest = [each for each in self.ids if after is None or each > after]
        return [entry(each) for each in rest[:limit]]


IDS = st.lists(st.integers(0, 99), unique=True, max_size=40).map(
    lambda numbers: sorted(f"{number:02d}" for number in numbers)
)


@given(IDS, st.integers(1, 10), st.integers(1, 5))
def test_pages_together_are_the_whole_list(ids: list[str], limit: int, step: int) -> None:
    wanted = [each for each in ids if int(each) % step == 0]
    shelf, shown, after, has_more = Shelf(ids), list[str](), None, True
    while has_more:
        found = paginate(shelf.read, after, limit, lambda entry: int(entry.id) % step == 0)
        has_more, after = found["has_more"], found["last_id"]
        assert len(found["data"]) == limit or not has_more
        assert (found["first_id"], after) == (
            (found["data"][0]["id"], found["data"][-1]["id"]) if found["data"] else (None, None)
        )
        shown += [entry["id"] for entry in found["data"]]
    assert shown == wanted


def test_a_page_of_all_entries_is_read_at_once() -> None:
    shelf = Shelf([f"{number:02d}" for number in range(9)])
    assert len(paginate(shelf.read, None, 5)["data"]) == 5
    assert shelf.reads == 1
