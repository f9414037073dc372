"""Finds custom ids that occur twice in a file."""

from __future__ import annotations

import sqlite3
from hashlib import blake2b

from llm_relay.batch.model.row_check import InvalidLine
from llm_relay.validation.fields import short

# SQLite's own keys have eight bytes, and are the fastest. Two of a million ids collide in one of
# forty million files, which would be rejected by mistake.
_KEY_BYTES = 8
# An unnamed database is held in memory up to this size, and beyond it in a temporary file.
_CACHE_KIB = 16 * 1024


class CustomIds:
    """The custom ids of a file, with their line numbers."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)
        for setting in ("journal_mode=OFF", "synchronous=OFF", f"cache_size=-{_CACHE_KIB}"):
            self._database.execute(f"PRAGMA {setting}")
        self._database.execute("CREATE TABLE ids (key INTEGER PRIMARY KEY, line INTEGER)")
        self._database.execute("BEGIN")

    def close(self) -> None:
        """Delete all of them."""
        self._database.close()

    def add(self, custom_id: str, line: int) -> None:
        """Add an id; InvalidLine if another line has it."""
        content = custom_id.encode("utf-8", "surrogatepass")
        digest = blake2b(content, digest_size=_KEY_BYTES).digest()
        key = int.from_bytes(digest, signed=True)
        insert = "INSERT OR IGNORE INTO ids VALUES (?, ?)"
        if not self._database.execute(insert, (key, line)).rowcount:
            found = self._database.execute("SELECT line FROM ids WHERE key = ?", (key,))
            raise InvalidLine(
                "duplicate_custom_id",
                f"The custom_id {short(custom_id)} is already used on line {found.fetchone()[0]}. "
                "Give every line a unique custom_id.",
                "custom_id",
            )
