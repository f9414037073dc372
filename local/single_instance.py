"""One `make run` or `make demo` at a time in a folder, as a second would write over its files."""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def alone(log: Path, note: Path) -> Iterator[None]:
    """Holds the log for as long as this process lives; raises ValueError if another one does."""
    with log.open("ab") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(
                f"A local stack runs here already{place(note)}. End it first, or start this one in "
                "a copy of the folder."
            ) from None
        yield


def place(note: Path) -> str:
    """Where the other is, if it has told."""
    try:
        return f" ({json.loads(note.read_text())['base_url']})"
    except (OSError, ValueError, KeyError, TypeError):
        return ""
