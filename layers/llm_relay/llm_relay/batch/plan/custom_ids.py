"""The custom ids of a whole file, each of which may come once."""

from __future__ import annotations

import sqlite3
from hashlib import blake2b

from llm_relay.batch.model.row_check import InvalidLine
from llm_relay.validation.fields import short

# Eight bytes are SQLite's own keys, and the quickest; two of a million ids are the same then
# once in forty million files, which would be refused for no reason.
_KEY_BYTES = 8
# An unnamed database lies in memory, and in a temporary file as it outgrows this.
_CACHE_KIB = 16 * 1024


class CustomIds:
    """The custom ids that were seen, and on which lines."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)
        for setting in ("journal_mode=OFF", "synchronous=OFF", f"cache_size=-{_CACHE_KIB}"):
            self._database.execute(f"PRAGMA {setting}")
        self._database.execute("CREATE TABLE seen (key INTEGER PRIMARY KEY, line INTEGER)")
        self._database.execute("BEGIN")

    def close(self) -> None:
        """Forget all of them."""
        self._database.close()

    def add(self, custom_id: str, line: int) -> None:
        """Keep an id; BadLine if it was there before."""
        plain = custom_id.encode("utf-8", "surrogatepass")
        digest = blake2b(plain, digest_size=_KEY_BYTES).digest()
        key = int.from_bytes(digest, signed=True)
        new = "INSERT OR IGNORE INTO seen VALUES (?, ?)"
        if not self._database.execute(new, (key, line)).rowcount:
            found = self._database.execute("SELECT line FROM seen WHERE key = ?", (key,))
            raise InvalidLine(
                "duplicate_custom_id",
                f"The custom_id {short(custom_id)} of this line is also that of line "
                f"{found.fetchone()[0]}. Give every line its own.",
                "custom_id",
            )
